"""Contracts and their types over HTTP: versions, what is refused and why, and who has to have seen what."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.sla.telling import published
from tests.support.databases import Database

FACTS: dict[str, Any] = {"client_id": "acme", "contract_type": "oro", "valid_from": "2026-01-01T00:00:00-03:00"}
PATH = "/v1/contracts/acme-2026"


def target(clock: str, seconds: int, calendar: str = "comercial", **named: Any) -> dict[str, Any]:
    return {"clock": clock, "seconds": seconds, "calendar_id": calendar, **named}


async def test_no_route_is_open_without_a_token(http: httpx2.AsyncClient) -> None:
    for path in ("/v1/contracts", "/v1/contract-types", "/v1/calendars", "/v1/promises?severity=1&priority=1"):
        assert (await http.get(path, headers={"authorization": ""})).status_code == 401


async def test_a_contract_is_recorded_read_and_published(http: httpx2.AsyncClient, sla: Database) -> None:
    answer = await http.put(PATH, json=FACTS)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (answer.headers["etag"], found["version"], found["recorded_by"]) == ('"1"', 1, "bruno")
    assert (found["valid_from"], found["effective_from"]) == ("2026-01-01T03:00:00Z", "2026-01-01T03:00:00Z")
    assert (found["type_version"], found["currency"], found["reporting_calendar"]) == (1, "ARS", "comercial")
    assert (await http.get(PATH)).json() == found
    assert (await http.put(PATH, json=FACTS)).json() == found
    (told,) = await published(sla, "contract:acme-2026")
    assert [one["contract_type"] for one in told["versions"]] == ["oro"]


async def test_what_a_contract_says_itself_is_kept_apart_from_what_it_promises(http: httpx2.AsyncClient) -> None:
    own = target("resolution", 3600, "24x7", severities=[1])
    found = (await http.put(PATH, json=FACTS | {"targets": [own], "reopen_days": 10, "currency": "USD"})).json()
    assert found["differences"]["targets"] == [found["targets"][0]]
    assert (found["differences"]["reopen_days"], found["differences"]["objection_days"]) == (10, None)
    assert (found["reopen_days"], found["objection_days"], found["currency"]) == (10, 3, "USD")
    assert (len(found["targets"]), found["targets"][0]["seconds"]) == (11, 3600)


async def test_a_contract_is_changed_by_whoever_has_seen_its_version(http: httpx2.AsyncClient, sla: Database) -> None:
    changed = FACTS | {"contract_type": "plata"}
    lost = await http.put(PATH, json=FACTS, headers={"if-match": "*"})
    assert (lost.status_code, lost.json()["code"], lost.json()["version"]) == (412, "version-changed", 0)
    assert (await http.put(PATH, json=FACTS, headers={"if-none-match": "*"})).headers["etag"] == '"1"'
    conditions: list[tuple[dict[str, str], int]] = [
        ({}, 428),
        ({"if-none-match": "*"}, 412),
        ({"if-match": '"2"'}, 412),
    ]
    for head, status in conditions:
        refused = await http.put(PATH, json=changed, headers=head)
        assert (refused.status_code, refused.json()["version"], refused.headers["etag"]) == (status, 1, '"1"')
    assert len(await published(sla, "contract:acme-2026")) == 1
    for _ in range(2):
        # The second time it is equal and changes nothing, so the old version does no harm.
        assert (await http.put(PATH, json=changed, headers={"if-match": '"1"'})).headers["etag"] == '"2"'
    assert len(await published(sla, "contract:acme-2026")) == 2
    late = await http.put(PATH, json=FACTS, headers={"if-match": '"1"'})
    assert (late.status_code, [(one["version"], one["type"], one["actor"]) for one in late.json()["since"]]) == (
        412, [(2, "desk.contract.recorded.v1", "bruno")],
    )  # fmt: skip


async def test_every_version_of_a_contract_can_be_read(http: httpx2.AsyncClient) -> None:
    await http.put(PATH, json=FACTS)
    since = {"effective_from": "2026-06-01T00:00:00Z"}
    await http.put(PATH, json=FACTS | {"contract_type": "plata"} | since, headers={"if-match": '"1"'})
    versions = (await http.get(f"{PATH}/versions")).json()
    assert [(one["version"], one["contract_type"], one["effective_from"]) for one in versions] == [
        (2, "plata", "2026-06-01T00:00:00Z"),
        (1, "oro", "2026-01-01T03:00:00Z"),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"targets": [target("response", 3600, "lunar")]}, "unknown-calendar"),
        ({"targets": [target("response", 30_000, "24x7", severities=[1])]}, "response-after-resolution"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, "contract-ends-before-it-begins"),
        ({"valid_from": "2026-01-01T00:00:00"}, "invalid-request"),
        ({"contract_type": "diamante"}, "invalid-request"),
        ({"type_version": 7}, "no-such-contract-type"),
        ({"warnings": {"response": ["120%"]}}, "bad-warnings"),
        ({"warnings": {"response": ["30min before"]}}, "bad-warnings"),
        ({"warnings": {"response": ["half"]}}, "invalid-request"),
        ({"reporting_calendar": "lunar"}, "unknown-calendar"),
        ({"currency": "pesos"}, "invalid-request"),
    ],
)
async def test_a_contract_that_makes_no_sense_is_refused_with_a_code(
    http: httpx2.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    answer = await http.put(PATH, json=FACTS | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert (await http.get(PATH)).status_code == 404


async def test_contracts_are_paged_by_id_and_filtered_by_client(http: httpx2.AsyncClient) -> None:
    for number in range(5):
        await http.put(f"/v1/contracts/c-{number}", json=FACTS | {"client_id": f"client-{number % 2}"})
    changed = FACTS | {"client_id": "client-1", "contract_type": "plata"}
    await http.put("/v1/contracts/c-1", json=changed, headers={"if-match": '"1"'})
    found: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        after = {"after": page["next"]} if page["next"] else {}
        page = (await http.get("/v1/contracts", params={"limit": 2, **after})).json()
        found += [f"{item['id']} v{item['version']}" for item in page["items"]]
        if page["next"] is None:
            break
    assert found == ["c-0 v1", "c-1 v2", "c-2 v1", "c-3 v1", "c-4 v1"]
    of_one = (await http.get("/v1/contracts", params={"client": "client-1"})).json()
    assert [item["id"] for item in of_one["items"]] == ["c-1", "c-3"]


async def test_the_types_are_listed_with_what_they_promise(http: httpx2.AsyncClient) -> None:
    types = {item["id"]: item for item in (await http.get("/v1/contract-types")).json()}
    first = types["platino"]["targets"][0]
    assert (first["clock"], first["severities"]) == ("response", [1])
    assert (first["seconds"], first["calendar_id"]) == (900, "24x7")
    assert types["basico"]["warnings"] == {"response": ["50%", "80%"], "resolution": ["50%", "75%", "90%"]}
    assert types["plata"]["pausing_holds"] == ["agreed-date", "waiting-for-client"]
    assert {(one["reporting_calendar"], one["reopen_days"], one["objection_days"]) for one in types.values()} == {
        ("comercial", 5, 3)
    }


async def test_a_type_is_recorded_in_versions_and_a_contract_moves_to_one_when_it_says_so(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    await http.put(PATH, json=FACTS)
    shown = (await http.get("/v1/contract-types/oro")).json()
    facts = {name: shown[name] for name in shown if name not in ("id", "version", "recorded_at", "recorded_by")}
    path = "/v1/contract-types/oro"
    assert (await http.put(path, json=facts)).headers["etag"] == '"1"'
    assert (await http.put(path, json=facts | {"reopen_days": 9})).status_code == 428
    answer = await http.put(path, json=facts | {"reopen_days": 9}, headers={"if-match": '"1"'})
    assert (answer.status_code, answer.json()["version"]) == (200, 2), answer.text
    assert [one["version"] for one in (await http.get(f"{path}/versions")).json()] == [2, 1]
    assert [one["terms"]["reopen_days"] for one in await published(sla, "contract-type:oro")] == [5, 9]
    same = await http.put(PATH, json=FACTS)
    assert (same.json()["version"], same.json()["reopen_days"]) == (1, 5)
    moved = await http.put(PATH, json=FACTS | {"type_version": 2}, headers={"if-match": '"1"'})
    assert (moved.json()["version"], moved.json()["type_version"], moved.json()["reopen_days"]) == (2, 2, 9)
