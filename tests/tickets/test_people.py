"""People: they appear with their first token, complete themselves, and are completed by an admin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.support.databases import OWNER, Database
from tests.tickets.desk import fill_replicas
from tests.tickets.door import CALL, Desk, at
from tests.tickets.house import fill_house, load, told
from tickets.api import callers
from tickets.documents import OwnFacts


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> Database:
    """Nobody works there yet."""
    made = await database("tickets")
    await fill_replicas(made)
    return made


MINE = {"mail": "ana@soporte.example", "telephone": "+54 11 5555-0001", "language": "en", "absences": []}


async def test_somebody_appears_with_the_first_valid_token_before_the_request_goes_on(http: Desk) -> None:
    async with http.person("eva", "analyst", name="Eva Ñandú") as eva:
        me = (await eva.get("/me")).json()
    assert {name: me[name] for name in ("id", "name", "roles", "state", "language", "teams", "version")} == {
        "id": "eva", "name": "Eva Ñandú", "roles": ["analyst"], "state": "active", "language": "es", "teams": [],
        "version": 1,
    }  # fmt: skip
    assert (me["changed_by"], http.hints) == ("eva", 1)
    (record,) = await told(http.database, "person:eva")
    assert (record["name"], record["roles"], record["retired"]) == ("Eva Ñandú", ["analyst"], False)


async def test_a_refused_request_makes_its_caller_known_too(http: Desk) -> None:
    async with http.person("eva", "analyst") as eva:
        assert (await eva.post("/tickets", json=CALL)).status_code == 403
    assert [one["id"] for one in await told(http.database, "person:eva")] == ["eva"]


async def test_first_requests_that_come_at_once_to_two_processes_make_one_person(http: Desk, desk: Database) -> None:
    other = Desk(desk, http.issuer)
    clients = [door.person("eva", "analyst", name="Eva") for door in (http, other) for _ in range(8)]
    answers = await asyncio.gather(*(client.get("/me") for client in clients))
    assert [one.status_code for one in answers] == [200] * 16
    assert {one.json()["version"] for one in answers} == {1}
    assert len(await told(desk, "person:eva")) == 1
    for client in clients:
        await client.aclose()


async def test_a_token_that_says_the_same_changes_nothing_and_one_that_says_more_does(
    http: Desk, desk: Database
) -> None:
    async with http.person("eva", "analyst", name="Eva") as eva:
        await eva.get("/me")
    again = Desk(desk, http.issuer)
    async with again.person("eva", "analyst", name="Eva") as eva:
        assert (await eva.get("/me")).json()["version"] == 1
    async with again.person("eva", "liaison", name="Eva") as eva:
        assert (await eva.get("/me")).json()["roles"] == ["liaison"]
    # A token without a name, or with one that nobody can show, leaves the name alone.
    for name in (None, "\u200b", "dos\nlíneas"):
        async with again.person("eva", "developer", name=name) as eva:
            assert (await eva.get("/me")).json()["name"] == "Eva"
    assert [one["roles"] for one in await told(desk, "person:eva")] == [["analyst"], ["liaison"], ["developer"]]


async def test_roles_that_mean_nothing_here_are_not_kept(http: Desk) -> None:
    async with http.person("eva", "offline_access") as eva:
        assert (await eva.get("/me")).status_code == 403
    assert (await told(http.database, "person:eva"))[0]["roles"] == []


async def test_nobody_is_refused_or_kept_waiting_where_they_cannot_be_recorded(
    http: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "PATIENCE_SECONDS", 0.05)
    async with http.database.connect(OWNER) as owner, http.person("eva") as eva, owner.transaction():
        await owner.execute("LOCK TABLE tickets.people IN ACCESS EXCLUSIVE MODE")
        assert (await eva.get("/clients")).status_code == 200
        # Meanwhile nobody tries again.
        assert (await eva.get("/clients")).status_code == 200
    assert len(http.app.state.acquaintances.meeting) <= 1


async def test_somebody_who_could_not_be_recorded_is_with_a_later_request(
    http: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http.database.connect(OWNER) as owner, http.person("eva") as eva:
        await owner.execute("ALTER TABLE tickets.people RENAME TO hidden")
        assert (await eva.get("/clients")).status_code == 200
        await owner.execute("ALTER TABLE tickets.hidden RENAME TO people")
        assert (await eva.get("/me")).status_code == 404
        http.app.state.acquaintances.rests_until = 0.0
        assert (await eva.get("/me")).status_code == 200


async def test_everybody_completes_themselves_and_only_an_admin_others(http: Desk, ana: httpx2.AsyncClient) -> None:
    absence = {"from_at": "2026-12-28T00:00:00-03:00", "until_at": "2027-01-11T00:00:00-03:00", "why": "vacaciones"}
    unstated = await ana.put("/me", json=MINE)
    assert (unstated.status_code, unstated.json()["code"]) == (428, "version-not-stated")
    mine = await ana.put("/me", json=MINE | {"absences": [absence]}, headers=at(1))
    assert (mine.status_code, mine.headers["etag"]) == (200, '"2"')
    assert mine.json()["absences"] == [
        {"from_at": "2026-12-28T03:00:00.000000Z", "until_at": "2027-01-11T03:00:00.000000Z", "why": "vacaciones"}
    ]
    assert (await ana.put("/people/ana", json=MINE, headers=at(2))).status_code == 403
    assert (await ana.put("/me", json=MINE | {"state": "inactive"}, headers=at(2))).status_code == 422
    async with http.person("natalia", "admin") as admin:
        facts = {"state": "inactive", "telephone": "+54 11 5555-0099"}
        done = await admin.put("/people/ana", json=facts, headers=at(2))
    shown = {name: done.json()[name] for name in ("state", "telephone", "mail", "roles", "changed_by", "version")}
    assert shown == {
        "state": "inactive", "telephone": "+54 11 5555-0099", "mail": None, "roles": ["agent"],
        "changed_by": "natalia", "version": 3,
    }  # fmt: skip
    stale = await ana.put("/me", json=MINE, headers=at(2))
    assert (stale.status_code, stale.json()["version"]) == (412, 3)
    assert [one["actor"] for one in stale.json()["since"]] == ["natalia"]


async def test_an_admin_records_somebody_who_has_not_come_yet(http: Desk) -> None:
    async with http.person("natalia", "admin") as admin:
        new = await admin.put("/people/gil@idp.example", json={"mail": "gil@soporte.example"})
        assert (new.status_code, new.json()["name"], new.json()["roles"]) == (200, None, [])
        twice = await admin.put("/people/gil@idp.example", json={}, headers={"if-none-match": "*"})
        assert twice.status_code == 412
    async with http.person("gil@idp.example", "agent", name="Gil") as gil:
        assert (await gil.get("/me")).json()["mail"] == "gil@soporte.example"


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"mail": "sin arroba"}, "invalid-request"),
        ({"telephone": "\u200b"}, "invalid-request"),
        ({"language": "de"}, "invalid-request"),
        ({"name": "Otra"}, "invalid-request"),
        ({"roles": ["admin"]}, "invalid-request"),
        ({"absences": [{"from_at": "2026-12-28T00:00:00Z", "until_at": "2026-12-28T00:00:00Z"}]},
         "absence-makes-no-sense"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_of_somebody_is_refused(ana: httpx2.AsyncClient, facts: Any, code: str) -> None:
    answer = await ana.put("/me", json=facts, headers=at("*"))
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["ana", "bruno", "carla"]),
        ("q=NANEZ", ["ana"]),
        ("q=ohiggins carla", ["carla"]),
        ("q=soporte.example", ["ana"]),
        ("q=bruno", ["bruno"]),
        ("team=analistas-gestion", ["bruno", "carla"]),
        ("role=liaison", ["carla"]),
        ("role=analyst&q=dia", ["bruno"]),
        ("state=inactive", []),
        ("team=no-hay", []),
    ],
)
async def test_people_are_found_by_words_team_role_and_state(
    http: Desk, desk: Database, asked: str, found: list[str]
) -> None:
    await fill_house(desk)
    async with http.person("ana", name="Ana Ñáñez") as ana:
        answer = await ana.get(f"/people?{asked}")
        assert [one["id"] for one in answer.json()["items"]] == found
        pages, after = [], ""
        while after is not None:
            page = (await ana.get(f"/people?limit=1&{asked}{after and f'&after={after}'}")).json()
            pages += [one["id"] for one in page["items"]]
            after = page["next"]
        assert pages == found


async def test_somebody_whom_nobody_knows_is_not_found(ana: httpx2.AsyncClient) -> None:
    answer = await ana.get("/people/nadie")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-person")


async def test_a_file_names_people_with_name_and_roles_and_the_second_time_changes_nothing(desk: Database) -> None:
    people = [{"id": "gil", "name": "Gil", "roles": ["liaison", "analyst"]}]
    assert [await load(desk, people=people) for _ in range(2)] == [1, 0]
    assert (await told(desk, "person:gil"))[0]["roles"] == ["analyst", "liaison"]


def test_a_mail_is_described_as_it_is_asked_for() -> None:
    """A client that is made from the description sends no text without an @."""
    described = OwnFacts.model_json_schema()["properties"]["mail"]["anyOf"][0]
    words = ("ana@soporte.example", "sin arroba", "a b@c", "@", "a@b@c")
    fits = [word for word in words if re.search(described["pattern"], word)]
    assert fits == ["ana@soporte.example"]
