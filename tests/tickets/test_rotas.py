"""Rotas: what saving one refuses, and who is called at an instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.support.databases import Database
from tests.tickets.desk import fill_replicas
from tests.tickets.door import Desk, at
from tests.tickets.house import NIGHTS, fill_house, load, told


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> Database:
    """Nobody works there yet."""
    made = await database("tickets")
    await fill_replicas(made)
    return made


FACTS = {name: NIGHTS[name] for name in NIGHTS if name != "id"}
MONDAY = "2026-11-02T22:00:00-03:00"


@pytest.fixture
async def admin(http: Desk) -> Any:
    await fill_house(http.database)
    async with http.person("natalia", "admin") as client:
        yield client


async def on_call(client: httpx2.AsyncClient, at: str, team: str = "analistas-gestion") -> Any:
    """The answer about an instant."""
    answer = await client.get("/on-call", params={"team": team, "at": at})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_rota_is_shown_with_the_people_whom_it_names_and_told(http: Desk, admin: httpx2.AsyncClient) -> None:
    shown = await admin.get("/rotas/guardia")
    assert (shown.headers["etag"], shown.json()["people"][0]) == (
        '"1"', {"id": "bruno", "name": "Bruno Díaz", "state": "active"},
    )  # fmt: skip
    assert (await admin.get("/rotas?team=analistas-gestion")).json()["items"] == [shown.json()]
    assert (await admin.get("/rotas?team=analistas")).json()["items"] == []
    (record,) = await told(http.database, "rota:guardia")
    assert (record["team_id"], len(record["shifts"]), record["shifts"][0]["begins"]) == (
        "analistas-gestion", 14, "18:00",
    )  # fmt: skip
    # In another order, and by another offset, it is the same.
    again = FACTS | {"shifts": FACTS["shifts"][::-1]}
    assert (await admin.put("/rotas/guardia", json=again)).headers["etag"] == '"1"'
    assert (await admin.put("/rotas/guardia", json=again | {"zone": "UTC"})).status_code == 428
    assert (await admin.put("/rotas/guardia", json=again | {"zone": "UTC"}, headers=at(1))).status_code == 200
    assert (await admin.get("/rotas/nada")).json()["code"] == "no-such-rota"


async def test_who_is_called_is_said_by_place_with_telephone_and_until_when(admin: httpx2.AsyncClient) -> None:
    found = await on_call(admin, MONDAY)
    bruno = {"id": "bruno", "name": "Bruno Díaz", "telephone": "+54 11 5555-0002", "mail": None}
    assert (found["team"]["name"], found["call"]) == ("Analistas de Gestión", bruno)
    assert [(one["place"], one["person"]["id"], one["passed_over"], one["until_at"]) for one in found["places"]] == [
        (1, "bruno", None, "2026-11-03T12:00:00Z"), (2, "carla", None, "2026-11-03T12:00:00Z"),
    ]  # fmt: skip
    by_day = await on_call(admin, "2026-11-02T12:00:00-03:00")
    assert by_day["call"] is None
    assert [(one["person"], one["until_at"]) for one in by_day["places"]] == [(None, "2026-11-02T21:00:00Z")] * 2


async def test_whoever_is_away_or_inactive_is_passed_over_and_that_is_said(
    http: Desk, admin: httpx2.AsyncClient
) -> None:
    away = {"from_at": "2026-11-02T20:00:00-03:00", "until_at": "2026-11-02T23:00:00-03:00"}
    await admin.put("/people/bruno", json={"absences": [away]}, headers=at(1))
    found = await on_call(admin, MONDAY)
    assert (found["call"]["id"], found["places"][0]["passed_over"]) == ("carla", "absent")
    assert found["places"][0]["until_at"] == "2026-11-03T02:00:00Z"
    # Before it begins, that is when it changes.
    assert (await on_call(admin, "2026-11-02T19:00:00-03:00"))["places"][0]["until_at"] == "2026-11-02T23:00:00Z"
    await admin.put("/people/carla", json={"state": "inactive"}, headers=at(1))
    found = await on_call(admin, MONDAY)
    assert (found["call"], [one["passed_over"] for one in found["places"]]) == (None, ["absent", "inactive"])


async def test_an_override_stands_before_the_week(admin: httpx2.AsyncClient) -> None:
    stand_in = {"place": 1, "from_at": "2026-11-02T21:00:00-03:00", "until_at": "2026-11-03T01:00:00-03:00"}
    dated = FACTS | {"overrides": [stand_in | {"person_id": "ana"}]}
    assert (await admin.put("/rotas/guardia", json=dated, headers=at(1))).status_code == 200
    found = (await on_call(admin, MONDAY))["places"][0]
    assert (found["person"]["id"], found["until_at"]) == ("ana", "2026-11-03T04:00:00Z")


@pytest.mark.parametrize(
    ("id", "changes", "status", "code", "says"),
    [
        ("otra", {}, 409, "team-has-rota", "analistas-gestion has the rota guardia"),
        ("otra", {"team_id": "analista"}, 422, "unknown-reference", "nearest: analistas"),
        ("guardia", {"zone": "America/Rosarioo"}, 422, "rota-makes-no-sense", "there is no time zone"),
        ("guardia", {"shifts": [{"place": 1, "day": "mon", "begins": "18:00", "ends": "09:00", "person_id": "brunno"}]},
         422, "unknown-person", "nearest: bruno (Bruno Díaz)"),
        ("guardia", {"shifts": [{"place": 1, "day": "mon", "begins": begins, "ends": "20:00", "person_id": "bruno"}
                                for begins in ("18:00", "19:00")]},
         422, "rota-makes-no-sense", "both have place 1 on mon"),
        ("guardia", {"overrides": [{"place": 1, "from_at": MONDAY, "until_at": MONDAY, "person_id": None}]},
         422, "rota-makes-no-sense", "ends before it begins"),
        ("guardia", {"shifts": [{"place": 0, "day": "mon", "begins": "18:00", "ends": "09:00", "person_id": "bruno"}]},
         422, "invalid-request", ""),
        ("guardia", {"shifts": [{"place": 1, "day": "lun", "begins": "18:00", "ends": "24:00", "person_id": "bruno"}]},
         422, "invalid-request", ""),
    ],
)  # fmt: skip
async def test_a_rota_that_makes_no_sense_is_refused_and_told_what_to_do(
    admin: httpx2.AsyncClient, id: str, changes: Any, status: int, code: str, says: str
) -> None:
    answer = await admin.put(f"/rotas/{id}", json=FACTS | changes, headers=at("*") if id == "guardia" else {})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert says in answer.json()["detail"]


async def test_a_rota_of_a_retired_team_can_only_be_retired(http: Desk, admin: httpx2.AsyncClient) -> None:
    team = {"id": "analistas-gestion", "name": "Analistas de Gestión", "target": "analysts", "retired": True}
    await load(http.database, teams=[team])
    refused = await admin.put("/rotas/guardia", json=FACTS | {"zone": "UTC"}, headers=at(1))
    assert refused.json()["code"] == "unknown-reference"
    assert (await admin.put("/rotas/guardia", json=FACTS | {"retired": True}, headers=at(1))).status_code == 200


async def test_who_is_on_call_of_a_team_without_a_rota_is_said_to_be_unknown(admin: httpx2.AsyncClient) -> None:
    for team, code in (("analistas", "no-rota"), ("nada", "no-such-team")):
        answer = await admin.get(f"/on-call?team={team}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert (await admin.get("/on-call?team=analistas&at=ayer")).status_code == 422
