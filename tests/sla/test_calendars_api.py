"""Calendars over HTTP: what is shipped, a draft and its year, what it would change, and how it begins to count."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from sla.commands import clocks
from tests.sla.telling import ZERO, Story, at, clocks_of, frozen, published, tell
from tests.support.databases import Database

PATH = "/v1/calendars/comercial"
DAY = 86_400


async def draft(http: httpx2.AsyncClient, path: str = PATH, **changes: Any) -> dict[str, Any]:
    """The calendar with a draft that is its latest version but for these changes."""
    shown = (await http.get(path)).json()
    facts = (await http.get(f"{path}/versions")).json()[0]["calendar"]
    tag = {"if-match": f'"{shown["revision"]}"'}
    answer = await http.put(f"{path}/draft", json=facts | changes, headers=tag)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def act(http: httpx2.AsyncClient, path: str, body: Any = None, revision: int | None = None) -> httpx2.Response:
    """An action on a calendar by whoever has seen its present revision."""
    seen = revision or (await http.get("/".join(path.split("/")[:4]))).json()["revision"]
    return await http.post(path, json=body, headers={"if-match": f'"{seen}"'})


async def days_of(http: httpx2.AsyncClient, year: int, path: str = PATH, **params: Any) -> dict[str, dict[str, Any]]:
    answer = await http.get(f"{path}/days", params={"year": year, **params})
    assert answer.status_code == 200, answer.text
    return {one["date"]: one for one in answer.json()["days"]}


async def switch_all(sla: Database, seconds: float) -> None:
    """The job that switches clocks, until there is nothing left for it."""
    while True:
        async with sla.begin() as tx:
            behind = await clocks.SWITCHES.claim(tx, at(seconds), clocks.SWITCHES.portion)
            if not behind:
                return
            await clocks.SWITCHES.do(tx, behind, at(seconds))


async def test_three_calendars_are_shipped_each_counts_for_always_and_its_years_are_provisional(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    shown = {one["id"]: one for one in (await http.get("/v1/calendars")).json()}
    assert {name: (one["name"], one["version"]) for name, one in shown.items()} == {
        "24x7": ("24×7", 1), "comercial": ("Comercial", 1), "extendido": ("Extendido", 1),
    }  # fmt: skip
    (only,) = shown["comercial"]["versions"]
    assert (only["state"], only["effective_from"], only["activated_by"]) == ("in-force", None, "system:sla")
    assert [one["year"] for one in shown["extendido"]["years"]] == list(range(2025, 2033))
    assert {one["confirmed_at"] for one in shown["comercial"]["years"]} == {None}
    assert (shown["comercial"]["confirmed_until"], shown["24x7"]["years"]) == (None, [])
    told = [one["id"] for one in await published(sla) if one["type"] == "calendar.recorded"]
    assert told == ["comercial-v1", "extendido-v1", "24x7-v1"]


async def test_a_year_is_shown_day_by_day_with_the_name_of_each_holiday(http: httpx2.AsyncClient) -> None:
    days = await days_of(http, 2027)
    assert len(days) == 365
    new_year, monday = days["2027-01-01"], days["2027-01-04"]
    assert (new_year["kind"], new_year["name"], new_year["day_kind"], new_year["windows"]) == (
        "holiday", "Año Nuevo", "feriado", [],
    )  # fmt: skip
    assert (monday["kind"], monday["weekday"], monday["name"]) == ("weekly", "mon", None)
    assert monday["open_seconds"] == 9 * 3600
    assert monday["windows"] == [["2027-01-04T09:00:00-03:00", "2027-01-04T18:00:00-03:00"]]
    assert (days["2027-01-02"]["weekday"], days["2027-01-02"]["open_seconds"]) == ("sat", 0)


async def test_shipped_calendars_close_on_holidays_and_bridge_days_and_not_on_maundy_thursday(
    http: httpx2.AsyncClient,
) -> None:
    of_2025, of_2027 = await days_of(http, 2025), await days_of(http, 2027)
    assert (of_2025["2025-05-02"]["day_kind"], of_2025["2025-05-02"]["open_seconds"]) == ("puente", 0)
    maundy = of_2027["2027-03-25"]
    assert (maundy["name"], maundy["day_kind"], maundy["open_seconds"]) == ("Jueves Santo", "no-laborable", 9 * 3600)
    assert of_2027["2027-03-26"]["open_seconds"] == 0
    extended = await days_of(http, 2027, "/v1/calendars/extendido")
    assert (extended["2027-01-02"]["open_seconds"], extended["2027-01-04"]["open_seconds"]) == (4 * 3600, 12 * 3600)


async def test_shipped_calendars_close_at_one_on_the_eves_and_open_on_none_that_is_a_sunday(
    http: httpx2.AsyncClient,
) -> None:
    for year, eve, seconds in ((2027, "12-24", 4 * 3600), (2027, "12-31", 4 * 3600), (2028, "12-24", 0)):
        day = (await days_of(http, year))[f"{year}-{eve}"]
        assert (day["open_seconds"], day["has_break"]) == (seconds, True)
    of_friday = (await days_of(http, 2032, "/v1/calendars/extendido"))["2032-12-24"]
    assert of_friday["open_seconds"] == 5 * 3600


async def test_day_and_night_has_no_exceptions(http: httpx2.AsyncClient) -> None:
    days = await days_of(http, 2027, "/v1/calendars/24x7")
    assert {one["open_seconds"] for one in days.values()} == {DAY}


async def test_a_draft_changes_nothing_before_it_counts_and_can_be_looked_at(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    drafted = await draft(http, weekly={"mon": [["10:00", "16:00"]]})
    assert [(one["version"], one["state"]) for one in drafted["versions"]] == [(2, "draft"), (1, "in-force")]
    assert drafted["version"] == 1
    assert (await days_of(http, 2027))["2027-01-04"]["open_seconds"] == 9 * 3600
    assert (await days_of(http, 2027, version=2))["2027-01-04"]["open_seconds"] == 6 * 3600
    again = await draft(http, weekly={"mon": [["10:00", "16:00"]]})
    assert again["revision"] == drafted["revision"]
    assert len([one for one in await published(sla) if one["type"] == "calendar.recorded"]) == 3


async def test_a_new_calendar_is_drafted_and_its_first_version_counts_for_always(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    facts = {"name": "Noche", "timezone": "America/Montevideo", "weekly": {"mon": [["22:00", "06:00"]]}}
    path = "/v1/calendars/noche"
    assert (await http.get(path)).json()["code"] == "no-such-calendar"
    shown = (await http.put(f"{path}/draft", json=facts)).json()
    assert (shown["version"], shown["versions"][0]["state"]) == (None, "draft")
    refused = await act(http, f"{path}/versions/1/activate", {"effective_from": "2026-01-01T00:00:00Z"})
    assert refused.json()["code"] == "first-version-is-for-always"
    answer = await act(http, f"{path}/versions/1/activate", {})
    assert (answer.status_code, answer.json()["version"]) == (200, 1), answer.text
    (told,) = await published(sla, "calendar:noche-v1")
    assert (told["effective_from"], told["calendar"]["weekly"]["mon"]) == (None, [["22:00", "06:00"]])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"timezone": "America/Macondo"}, "calendar-makes-no-sense"),
        ({"weekly": {}}, "calendar-never-open"),
        ({"weekly": {"mon": [["09:00", "12:00"], ["11:00", "18:00"]]}}, "calendar-makes-no-sense"),
        ({"weekly": {"mon": [["9", "18"]]}}, "invalid-request"),
        ({"weekly": {"lunes": [["09:00", "18:00"]]}}, "invalid-request"),
        ({"days": [{"date": "2027-01-01", "name": name, "kind": "feriado"} for name in "ab"]}, "day-twice"),
        ({"days": [{"date": "2027-01-01", "name": "x", "kind": "fiesta"}]}, "invalid-request"),
    ],
)
async def test_a_calendar_that_makes_no_sense_is_refused_with_a_code(
    http: httpx2.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    facts = {"name": "Noche", "timezone": "America/Montevideo", "weekly": {"mon": [["22:00", "06:00"]]}}
    answer = await http.put("/v1/calendars/noche/draft", json=facts | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert (await http.get("/v1/calendars/noche")).status_code == 404


async def test_a_change_needs_the_revision_that_was_seen(http: httpx2.AsyncClient) -> None:
    await draft(http, name="Comercial y más")
    stale = await act(http, f"{PATH}/versions/2/activate", {}, revision=1)
    assert (stale.status_code, stale.json()["code"], stale.json()["version"]) == (412, "version-changed", 2)
    assert (await http.post(f"{PATH}/versions/2/activate", json={})).status_code == 428
    assert (await act(http, f"{PATH}/years/2027/confirm", revision=1)).status_code == 412


async def test_a_year_is_imported_into_a_draft_and_keeps_what_somebody_wrote(http: httpx2.AsyncClient) -> None:
    mine = {"date": "2033-01-01", "name": "Guardia de Año Nuevo", "kind": "feriado", "windows": [["10:00", "12:00"]]}
    facts = (await http.get(f"{PATH}/versions/1")).json()["calendar"]
    await draft(http, days=[*facts["days"], mine])
    answer = await act(http, f"{PATH}/years/2033/import")
    assert answer.status_code == 200, answer.text
    assert answer.json()["years"][-1]["year"] == 2033
    days = await days_of(http, 2033, version=2)
    assert (days["2033-01-01"]["name"], days["2033-01-01"]["open_seconds"]) == ("Guardia de Año Nuevo", 2 * 3600)
    assert (days["2033-12-25"]["name"], days["2033-12-24"]["name"]) == ("Navidad", "Nochebuena")
    assert (await days_of(http, 2033))["2033-12-25"]["name"] is None
    before = (await http.get(PATH)).json()["revision"]
    assert (await act(http, f"{PATH}/years/2033/import")).json()["revision"] == before


async def test_a_year_is_provisional_until_somebody_confirms_it(http: httpx2.AsyncClient) -> None:
    for year, until in ((2026, "2026-12-31"), (2028, "2026-12-31"), (2027, "2028-12-31")):
        answer = await act(http, f"{PATH}/years/{year}/confirm")
        assert (answer.status_code, answer.json()["confirmed_until"]) == (200, until), answer.text
    shown = (await http.get(PATH)).json()
    confirmed = next(one for one in shown["years"] if one["year"] == 2027)
    assert confirmed["confirmed_by"] == "bruno"
    assert (await http.get(f"{PATH}/days", params={"year": 2027})).json()["confirmed"] is True
    assert (await act(http, f"{PATH}/years/2027/confirm")).json()["revision"] == shown["revision"]
    assert (await act(http, f"{PATH}/years/2040/confirm")).json()["code"] == "no-such-year"


async def test_the_same_activation_sent_again_gets_the_same_answer_and_a_version_counts_once(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    drafted = await draft(http, name="Comercial y más")
    head = {"if-match": f'"{drafted["revision"]}"', "idempotency-key": "una-vez"}
    body = {"effective_from": "2030-01-01T00:00:00-03:00"}
    answers = [await http.post(f"{PATH}/versions/2/activate", json=body, headers=head) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    shown = answers[0].json()
    assert [(one["version"], one["state"]) for one in shown["versions"]] == [(2, "planned"), (1, "in-force")]
    again = await act(http, f"{PATH}/versions/2/activate", body)
    assert (again.status_code, again.json()["code"]) == (409, "version-activated")
    assert (await act(http, f"{PATH}/versions/3/activate", {})).json()["code"] == "no-such-calendar-version"
    (told,) = await published(sla, "calendar:comercial-v2")
    assert (told["id"], told["version"], told["effective_from"]) == ("comercial-v2", 2, "2030-01-01T03:00:00Z")


async def test_a_past_beginning_needs_a_reason_and_lies_not_before_the_version_before(
    http: httpx2.AsyncClient,
) -> None:
    await draft(http, name="Dos")
    path = f"{PATH}/versions/2/activate"
    body = {"effective_from": "2026-03-01T00:00:00Z"}
    assert (await act(http, path, body)).json()["code"] == "past-begin-needs-reason"
    answer = await act(http, path, body | {"reason": "Se cargó mal el horario"})
    assert answer.json()["versions"][0]["reason"] == "Se cargó mal el horario"
    await draft(http, name="Tres")
    earlier = {"effective_from": "2026-02-28T00:00:00Z", "reason": "más atrás"}
    refused = await act(http, f"{PATH}/versions/3/activate", earlier)
    assert (refused.status_code, refused.json()["code"]) == (422, "begins-before-the-version-before")


async def test_what_an_activation_would_change_is_shown_first_and_then_comes_true(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    # Monday at nine. S2 without a contract: a response in four open hours, at one.
    running, ended = Story(severity=2), Story(severity=2)
    await tell(sla, running.opened(), ended.opened())
    await tell(sla, ended.resolved(300))
    facts = (await http.get(f"{PATH}/versions/1")).json()["calendar"]
    lunch = {"date": "2026-03-02", "name": "Mudanza", "kind": "horario-especial", "breaks": [["11:00", "12:30"]]}
    await draft(http, days=[*facts["days"], lunch])
    with frozen(600):
        impact = (await http.get(f"{PATH}/versions/2/impact")).json()
    assert (impact["clocks"], impact["moved"], impact["become_breached"]) == (2, 2, 0)
    assert impact["effective_from"] == "2026-03-02T12:10:00Z"
    response = next(one for one in impact["examples"] if one["kind"] == "response")
    assert (response["ticket_id"], response["due_at"], response["would_be_due_at"]) == (
        str(running.ticket_id), "2026-03-02T16:00:00Z", "2026-03-02T17:30:00Z",
    )  # fmt: skip
    body = {"effective_from": impact["effective_from"], "reason": "Mudanza de la oficina"}
    shown = (await act(http, f"{PATH}/versions/2/activate", body)).json()
    assert (shown["version"], shown["clocks_to_switch"]) == (2, 2)
    await switch_all(sla, 700)
    assert (await http.get(PATH)).json()["clocks_to_switch"] == 0
    assert (await clocks_of(sla, running.ticket_id))["response"]["due_at"] == at(5.5 * 3600)


async def test_an_impact_names_the_clocks_that_become_breached(http: httpx2.AsyncClient, sla: Database) -> None:
    # S4 without a contract: a response in twenty-four open hours. Counted day and night they are over on Tuesday.
    story = Story(severity=4)
    await tell(sla, story.opened())
    whole = [["00:00", "24:00"]]
    await draft(http, weekly=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), whole))
    with frozen(25 * 3600):
        params = {"effective_from": ZERO.isoformat()}
        impact = (await http.get(f"{PATH}/versions/2/impact", params=params)).json()
        soon = (await http.get(f"{PATH}/versions/2/impact")).json()
    assert (impact["moved"], impact["become_breached"]) == (2, 1)
    assert impact["breached_tickets"] == [str(story.ticket_id)]
    assert (impact["examples"][0]["kind"], impact["examples"][0]["becomes_breached"]) == ("response", True)
    assert (soon["moved"], soon["become_breached"]) == (2, 0)


async def test_an_impact_is_told_of_a_draft_alone(http: httpx2.AsyncClient) -> None:
    assert (await http.get(f"{PATH}/versions/1/impact")).json()["code"] == "version-activated"
    assert (await http.get(f"{PATH}/versions/2/impact")).json()["code"] == "no-such-calendar-version"


async def test_days_of_no_calendar_and_of_no_year_are_refused(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/calendars/lunar/days", params={"year": 2027})).status_code == 404
    assert (await http.get(f"{PATH}/days", params={"year": 1492})).status_code == 422
