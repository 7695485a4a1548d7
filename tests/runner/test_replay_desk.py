"""The people and teams of a log at a real desk, and what is played there: all through its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from runner.demo.desk import Desk
from runner.personas import persona
from runner.replay.catalogue import Catalogue
from runner.replay.counting import Counts
from runner.replay.house import House, Team, house_of
from runner.replay.playing import Player
from runner.replay.staffing import staff
from tests.runner.incidents import incident
from tests.shared.http.issuer import LocalIssuer
from tests.support.databases import Database
from tests.tickets.desk import fill_replicas
from tests.tickets.door import Desk as Door

CATALOGUE = Catalogue(["molinos"], ["gestion"], {"gestion": ["facturacion"]}, {("molinos", "gestion"): ["facturacion"]})
HERE = {"client_id": "molinos", "product_id": "gestion", "module_id": None}
UP_AND_DOWN = (
    "G1: R1! Accepted/In Progress/L1", "G2: R1! Queued/Awaiting Assignment/L2", "G2: R2! Accepted/Wait - User/L2",
    "G3: R2! Queued/Awaiting Assignment/L3", "G3: R3! Accepted/In Progress/L3",
    "G2: R3! Queued/Awaiting Assignment/L2",
)  # fmt: skip
LOG = [
    incident("1", *UP_AND_DOWN),
    incident("2", *UP_AND_DOWN[:4]),
    incident("3", "G1: R4! Completed/Resolved/L1", "G1: R5! Accepted/In Progress/L1", "G1: R5! Completed/In Call/L1"),
]


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Desk]:
    """A desk with reference data, whose people are those of the demonstration."""
    made = await database("tickets")
    await fill_replicas(made)
    async with LocalIssuer().serving() as issuer:
        transport = httpx2.ASGITransport(app=Door(made, issuer).app)
        tokens = {key: issuer.token(sub=persona(key).user, roles=[key]) for key in (*PERSONAS, "admin")}
        async with Desk({"tickets": "http://desk"}, tokens.__getitem__, transport=transport) as client:
            yield client


PERSONAS = ("agent", "analyst", "supervisor", "developer")


async def everything(desk: Desk, noun: str) -> dict[str, dict[str, Any]]:
    """Every record of people or teams, by id."""
    return {one["id"]: one async for one in desk.every("tickets", f"/v1/{noun}")}


async def test_a_log_is_played_into_the_hands_and_queues_that_it_says_and_again_nobody_is_new(desk: Desk) -> None:
    house = house_of(LOG, CATALOGUE)
    routing = await staff(desk, house, 4)
    player = Player(desk, CATALOGUE, routing, "run", 2, None, asyncio.Event(), changed=lambda tally: None)
    await player.play(LOG)
    tally = player.tally
    assert (tally.failures, tally.refused, tally.opened) == ([], {}, 3)
    views = [await desk.get("tickets", f"/v1/tickets/{ticket}") for ticket in tally.tickets]
    assert sorted((view["level"], view["team"], view["assignee"] or "") for view in views) == [
        (1, "registro-l1-g1", "registro.r5"), (2, "registro-l2-g2", "registro.r2"), (3, "registro-l3-g3", ""),
    ]  # fmt: skip
    counts = Counts(tally)
    for view in views:
        counts.add(view)
    for team in counts.waiting_in:
        counts.of_queue(team, [row["id"] async for row in desk.every("tickets", "/v1/tickets", team=team)])
    assert (counts.misplaced, counts.queued.total()) == ([], 2)
    assert [end.own for end in tally.ends.values()] == [True] * 3
    before = await everything(desk, "people") | await everything(desk, "teams")
    assert (await staff(desk, house, 4)).teams == routing.teams
    assert await everything(desk, "people") | await everything(desk, "teams") == before


async def test_teams_of_another_log_make_room_and_what_somebody_covers_stays_theirs(desk: Desk) -> None:
    await desk.put("tickets", "/v1/teams/hecho-a-mano", "admin", {"name": "X", "target": "analysts", "covers": [HERE]})
    place = ("molinos", "gestion")
    one, other = (
        House((f"registro.{who}",), (Team("registro-l1-a", "call-centre", (f"registro.{who}",), covered), *more))
        for who, covered, more in (
            ("r1", (place,), (Team("registro-l2-b", "analysts", (), (place,)),)),
            ("r2", (), (Team("registro-l1-c", "call-centre", (), (place,)),)),
        )
    )
    for house in (one, other, one, other):
        routing = await staff(desk, house, 2)
        who = house.people[0]
        person = await desk.get("tickets", f"/v1/people/{who}")
        await desk.put("tickets", f"/v1/people/{who}", "admin", {"state": "inactive"}, version=person["version"])
        in_use = {team["id"]: team for team in routing.teams if not team["retired"] and "registro" in team["id"]}
        assert set(in_use) == {team.id for team in house.teams}
        covering = {name for name, team in in_use.items() if team["covers"]}
        assert covering == {"registro-l1-a" if house is one else "registro-l1-c"}
        assert who in [member["id"] for member in in_use["registro-l1-a"]["members"]]
        assert {member["state"] for member in in_use["registro-l1-a"]["members"]} == {"active"}
    assert (await everything(desk, "teams"))["hecho-a-mano"]["covers"] == [HERE]
