"""What day one lacks is said with what to do, and nothing is said where nothing is missing."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import time_machine

from shared.contracts.inventory import InstallationRecorded
from tests.support.databases import Database
from tests.tickets.desk import NOW, contract, deliver, received
from tests.tickets.door import Desk
from tests.tickets.house import GESTION, NIGHTS, PEOPLE, load
from tickets.queries import setup

ALL_DAY = [
    {"place": 1, "day": day, "begins": "00:00", "ends": "00:00", "person_id": "bruno"}
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
]
TARGETS = {
    "mesa-de-ayuda": "call-centre", "analistas": "analysts", "analisis-funcional": "functional-analysis",
    "desarrollo": "development", "implementaciones": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


async def lacks(client: httpx2.AsyncClient) -> dict[str, Any]:
    """What is missing, by kind; each kind once."""
    answer = (await client.get("/setup")).json()
    assert answer["complete"] == (not answer["lacks"])
    found = {one["kind"]: one for one in answer["lacks"]}
    assert len(found) == len(answer["lacks"])
    assert all(one["says"] and one["action"] and one["count"] == len(one["subjects"]) for one in found.values())
    return found


async def test_a_new_installation_lacks_people_leads_rotas_contracts_and_installations(
    ana: httpx2.AsyncClient,
) -> None:
    found = await lacks(ana)
    assert {kind: {one["id"] for one in lack["subjects"]} for kind, lack in found.items()} == {
        "team-without-members": set(TARGETS),
        "team-without-lead": set(TARGETS),
        "team-without-rota": set(TARGETS) - {"implementaciones"},
        "client-without-contract": {"sin-contrato"},
        "client-without-installation": {"sin-contrato", "aguero"},
    }
    assert found["team-without-members"]["says"] == (
        "nobody who is active is in Análisis Funcional, Analistas, Desarrollo, Implementaciones, Mesa de ayuda"
    )
    assert "PUT /v1/teams/{id}" in found["team-without-members"]["action"]


async def test_without_any_calendar_nobody_can_say_what_is_left(desk: Database, ana: httpx2.AsyncClient) -> None:
    async with desk.connect("test_owner") as owner:
        await owner.execute("TRUNCATE tickets.calendars")
    lack = (await lacks(ana))["no-calendar"]
    assert lack["says"].startswith("no calendar has come")
    assert "python -m sla migrate" in lack["action"]


async def test_a_hole_in_a_rota_is_told_as_long_as_it_is_near(desk: Database, ana: httpx2.AsyncClient) -> None:
    await load(desk, people=PEOPLE, teams=[GESTION], rotas=[NIGHTS])
    assert (await lacks(ana))["rota-with-hole"]["says"] == (
        "in the next 14 days nobody has the first place of guardia from 2026-11-02 14:03 to 2026-11-02 21:00 UTC, and "
        "14 times more"
    )
    away = {"place": 1, "from_at": "2026-11-17T14:00:00Z", "until_at": "2026-11-17T15:00:00Z", "person_id": None}
    await load(desk, rotas=[NIGHTS | {"shifts": ALL_DAY, "overrides": [away]}])
    assert "rota-with-hole" not in await lacks(ana)
    async with desk.begin() as tx:
        later = await setup.tell_setup(tx, NOW.replace(day=4))
    (hole,) = [one for one in later.lacks if one.kind == "rota-with-hole"]
    assert "from 2026-11-17 14:00 to 2026-11-17 15:00 UTC" in hole.says


async def test_whatever_is_complete_lacks_nothing(http: Desk, desk: Database, ana: httpx2.AsyncClient) -> None:
    teams: list[dict[str, Any]] = [
        {"id": team, "name": team, "target": target, "lead": "bruno", "members": ["bruno"]}
        | ({"covers": [{}]} if target else {})
        for team, target in TARGETS.items()
    ]
    rotas = [{"id": f"g-{team}", "team_id": team, "shifts": ALL_DAY} for team, target in TARGETS.items() if target]
    await load(desk, people=PEOPLE, teams=teams, rotas=rotas)
    events = [received(contract("c-sin", "sin-contrato", "plata", 16))] + [
        received(InstallationRecorded(id=f"{client}-g", client_id=client, product_id="gestion", product_version="8",
                                      modules=()))
        for client in ("sin-contrato", "aguero")
    ]  # fmt: skip
    async with desk.begin() as tx:
        await deliver(tx, events)
    assert await lacks(ana) == {}
    # Somebody who is no longer there leaves the team without anybody.
    await load(desk, people=[{**PEOPLE[1], "state": "inactive"}])
    assert set(await lacks(ana)) == {"team-without-members"}
