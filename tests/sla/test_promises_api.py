"""Which contract and target, and why: for a ticket that might be, and for one that there is."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.sla.telling import Story, tell
from tests.sla.test_contracts_api import FACTS, target
from tests.support.databases import Database

# A Monday, 12:00 in UTC and 09:00 in Buenos Aires.
MONDAY = "2026-03-02T12:00:00Z"
# A Friday, ten minutes before the office closes.
FRIDAY = "2026-11-27T17:50:00-03:00"

UNKNOWN = "01a22e11-9f90-7014-a50f-2e3e754fde66"


async def ask(http: httpx2.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await http.get(
        "/v1/promises", params={"client": "acme", "severity": 3, "priority": 3, "reported_at": MONDAY, **asked}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def record(http: httpx2.AsyncClient, name: str, **changes: Any) -> None:
    answer = await http.put(f"/v1/contracts/{name}", json=FACTS | changes)
    assert answer.status_code == 200, answer.text


async def test_without_a_contract_the_targets_are_those_of_basico_and_that_is_said(http: httpx2.AsyncClient) -> None:
    found = await ask(http, severity=1)
    assert (found["contract"], found["standing"], found["penalties"]) == (None, "none", False)
    assert [(one["kind"], one["rule"]["seconds"], one["calendar_version"]) for one in found["clocks"]] == [
        ("response", 2 * 3600, 1), ("resolution", 32 * 3600, 1),
    ]  # fmt: skip
    assert found["why"]["es"][0] == "No hay contrato que rija: valen los plazos de Básico, sin penalidades."
    assert found["why"]["en"][0].startswith("No contract applies")
    assert (found["reporting_calendar"], found["reopen_days"], found["objection_days"]) == ("comercial", 5, 3)


async def test_a_ticket_of_friday_evening_is_due_in_open_hours(http: httpx2.AsyncClient) -> None:
    await record(http, "acme-plata", contract_type="plata")
    response, resolution = (await ask(http, reported_at=FRIDAY))["clocks"]
    # Eight open hours: ten minutes on Friday, the rest on Monday from nine on.
    assert (response["rule"]["seconds"], response["due_at"]) == (8 * 3600, "2026-11-30T19:50:00Z")
    # Eighty: nine a day, over the holidays of the 7th and 8th of December.
    assert (resolution["rule"]["seconds"], resolution["due_at"]) == (80 * 3600, "2026-12-14T19:50:00Z")
    assert [one["said_as"] for one in resolution["thresholds"]] == ["50%", "75%", "90%"]
    assert (response["pausing_holds"], resolution["pausing_holds"]) == ([], ["agreed-date", "waiting-for-client"])


async def test_the_most_urgent_severity_counts_day_and_night(http: httpx2.AsyncClient) -> None:
    await record(http, "acme-oro")
    response, resolution = (await ask(http, severity=1, reported_at=FRIDAY))["clocks"]
    assert (response["due_at"], resolution["due_at"]) == ("2026-11-27T21:20:00Z", "2026-11-28T04:50:00Z")


async def test_a_question_has_the_targets_of_s4_whatever_its_severity(http: httpx2.AsyncClient) -> None:
    await record(http, "acme-oro")
    found = await ask(http, severity=1, kind="question")
    assert [one["rule"]["seconds"] // 3600 for one in found["clocks"]] == [8, 120]
    assert [one["severities"] for one in found["clocks"][0]["other_rules"]] == [[1]]
    assert found["penalties"] is False


async def test_the_contract_that_names_the_product_decides_and_the_others_say_why_not(
    http: httpx2.AsyncClient,
) -> None:
    await record(http, "acme-todo")
    await record(http, "acme-kontar", contract_type="platino", product_ids=["kontar"])
    await record(http, "acme-viejo", valid_from="2024-01-01T00:00:00Z", valid_until="2025-01-01T00:00:00Z")
    found = await ask(http, product="kontar")
    assert (found["contract"]["id"], found["standing"], found["penalties"]) == ("acme-kontar", "in-force", True)
    assert [(one["id"], one["because"]) for one in found["passed_over"]] == [
        ("acme-todo", "another-fits-better"), ("acme-viejo", "ended"),
    ]  # fmt: skip
    assert "acme-viejo: terminó más de 60 días antes." in found["why"]["es"]
    assert (await ask(http, product="factela"))["contract"]["id"] == "acme-todo"


async def test_a_contract_that_ended_within_sixty_days_still_says_its_targets_without_penalties(
    http: httpx2.AsyncClient,
) -> None:
    await record(http, "acme-oro", valid_until="2026-01-15T00:00:00Z")
    found = await ask(http)
    assert (found["contract"]["id"], found["standing"], found["penalties"]) == ("acme-oro", "vencido", False)
    assert (await ask(http, reported_at="2026-03-16T00:00:01Z"))["standing"] == "none"
    assert (await ask(http, reported_at="2026-01-14T23:59:59Z"))["standing"] == "in-force"


async def test_the_version_that_held_at_the_report_decides(http: httpx2.AsyncClient) -> None:
    await record(http, "acme-oro")
    later = FACTS | {"contract_type": "plata", "effective_from": "2026-03-02T00:00:00-03:00"}
    assert (await http.put("/v1/contracts/acme-oro", json=later, headers={"if-match": '"1"'})).status_code == 200
    before = await ask(http, reported_at="2026-03-01T23:59:59-03:00")
    assert (before["contract"]["version"], before["contract"]["contract_type"]) == (1, "oro")
    after = await ask(http, reported_at="2026-03-02T00:00:00-03:00")
    assert (after["contract"]["version"], after["contract"]["contract_type"]) == (2, "plata")


async def test_own_rules_of_a_module_come_first(http: httpx2.AsyncClient) -> None:
    own = target("resolution", 9 * 3600, severities=[3], module_ids=["kontar-fe"], product_ids=["kontar"])
    answer = target("response", 3600, "extendido", severities=[3], module_ids=["kontar-fe"])
    await record(http, "acme-oro", targets=[own, answer])
    found = await ask(http, product="kontar", module="kontar-fe")
    assert [one["rule"]["seconds"] for one in found["clocks"]] == [3600, 9 * 3600]
    assert "el módulo kontar-fe · el producto kontar · S3" in found["why"]["es"][-1]


async def test_sentences_are_in_the_time_of_the_calendar_in_which_days_are_counted(http: httpx2.AsyncClient) -> None:
    week = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    facts = {"name": "Madrid", "timezone": "Europe/Madrid", "weekly": week}
    assert (await http.put("/v1/calendars/madrid/draft", json=facts)).status_code == 200
    activated = await http.post("/v1/calendars/madrid/versions/1/activate", json={}, headers={"if-match": '"1"'})
    assert activated.status_code == 200, activated.text
    await record(http, "acme-oro", targets=[target("response", 3600, "madrid", severities=[3])])
    found = await ask(http)
    assert found["clocks"][0]["due_at"] == "2026-03-02T13:00:00Z"
    assert "1 h de madrid, vence el lun 02/03/2026 10:00" in found["why"]["es"][1]


async def test_a_ticket_shows_what_it_is_promised_beside_what_its_clocks_started_under(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    await record(http, "acme-oro")
    story = Story(client="acme", severity=2)
    await tell(sla, story.opened())
    later = FACTS | {"contract_type": "plata", "effective_from": FACTS["valid_from"]}
    await http.put("/v1/contracts/acme-oro", json=later, headers={"if-match": '"1"'})
    answer = await http.get(f"/v1/tickets/{story.ticket_id}/promise")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["ticket_id"], found["severity"], found["contract"]["version"]) == (str(story.ticket_id), 2, 2)
    assert [(one["kind"], one["contract_version"], one["target_seconds"]) for one in found["started"]] == [
        ("response", 1, 3600), ("resolution", 1, 24 * 3600),
    ]  # fmt: skip
    assert [one["rule"]["seconds"] for one in found["clocks"]] == [2 * 3600, 32 * 3600]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/tickets/{UNKNOWN}/promise", 404, "no-such-ticket"),
        ("/v1/promises?severity=5&priority=1", 422, "invalid-request"),
        ("/v1/promises?severity=1&priority=1&kind=request", 422, "invalid-request"),
        ("/v1/promises?severity=1&priority=1&reported_at=ayer", 422, "invalid-request"),
    ],
)
async def test_what_cannot_be_answered_says_so(http: httpx2.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
