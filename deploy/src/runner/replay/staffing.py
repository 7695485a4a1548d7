"""The people and teams of a log become known to the desk, through its API as an admin does; again, nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import stamina

from runner.demo.desk import Desk, Document, NotAnswered
from runner.replay.house import House, Routing, Team
from runner.replay.log import OF_THE_LOG
from runner.replay.playing import RETRY_SECONDS

ADMIN = "admin"
# Who leads the teams of each target, so that the demo goes on with what a log has left.
LEADS = {"call-centre": "agent", "analysts": "analyst", "development": "developer"}
_OWN_FACTS = ("mail", "telephone", "language", "absences")


async def staff(desk: Desk, house: House, concurrency: int) -> Routing:
    """Everybody in the house is known and active, its teams cover what they can; which team now takes what.

    A pattern that somebody's team covers already stays theirs, and teams of another log are retired. Raises Refused,
    NotAnswered.
    """
    await _know_people(desk, house.people, concurrency)
    leads = {target: (await desk.get("tickets", "/v1/me", persona))["id"] for target, persona in LEADS.items()}
    present = await _teams(desk)
    await _open_teams(desk, [_body(team, leads, _taken(present, team)) for team in house.teams], present)
    return Routing(list((await _teams(desk)).values()))


async def _know_people(desk: Desk, people: Sequence[str], concurrency: int) -> None:
    known = {one["id"]: one async for one in desk.every("tickets", "/v1/people", ADMIN)}

    async def know(person: str) -> None:
        path = f"/v1/people/{person}"
        if person not in known:
            await _put(desk, path, {}, None)
        elif known[person]["state"] != "active":
            facts = {name: known[person][name] for name in _OWN_FACTS}
            await _put(desk, path, facts | {"state": "active"}, known[person]["version"])

    await _each(people, know, concurrency)


async def _each(items: Iterable[str], do: Callable[[str], Awaitable[None]], concurrency: int) -> None:
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await do(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(take())


async def _teams(desk: Desk) -> dict[str, Document]:
    return {one["id"]: one async for one in desk.every("tickets", "/v1/teams", ADMIN)}


def _is_of_a_log(team: str) -> bool:
    return team.startswith(f"{OF_THE_LOG}-")


def _taken(present: Mapping[str, Document], team: Team) -> list[Document]:
    """What teams that were made by hand cover of the same target."""
    others = (one for name, one in present.items() if not _is_of_a_log(name) and not one["retired"])
    return [pattern for one in others if one["target"] == team.target for pattern in one["covers"]]


def _body(team: Team, leads: Mapping[str, str], taken: Sequence[Document]) -> Document:
    """A team as it is recorded, with its id; whoever leads it is in it."""
    patterns = [{"client_id": client, "product_id": product, "module_id": None} for client, product in team.covers]
    lead = leads[team.target]
    return {
        "id": team.id,
        "name": f"Registro: {team.id.removeprefix(f'{OF_THE_LOG}-').upper()}",
        "target": team.target,
        "lead": lead,
        "members": sorted({lead, *team.members}),
        "covers": [pattern for pattern in patterns if pattern not in taken],
        "retired": False,
    }


async def _open_teams(desk: Desk, wanted: Sequence[Document], present: Mapping[str, Document]) -> None:
    """First whatever a team of a log gives up, then what each takes: no two ever cover the same."""
    bodies = {str(body.pop("id")): body for body in wanted}
    versions: dict[str, int] = {}
    for name, team in present.items():
        if _is_of_a_log(name):
            after = _without(team, bodies.get(name))
            versions[name] = (await _put(desk, f"/v1/teams/{name}", after, team["version"]))["version"]
    for name, body in bodies.items():
        await _put(desk, f"/v1/teams/{name}", body, versions.get(name))


def _without(team: Document, wanted: Document | None) -> Document:
    """A team of a log as it is, with no more than what it goes on covering; retired where it is not wanted."""
    kept = [pattern for pattern in team["covers"] if wanted is None or pattern in wanted["covers"]]
    return {
        "name": team["name"],
        "target": team["target"],
        "lead": team["lead"]["id"] if team["lead"] else None,
        "members": [member["id"] for member in team["members"]],
        "covers": kept,
        "retired": team["retired"] or wanted is None,
    }


@stamina.retry(on=NotAnswered, attempts=None, timeout=RETRY_SECONDS)
async def _put(desk: Desk, path: str, body: Document, version: int | None) -> Any:
    return await desk.put("tickets", path, ADMIN, body, version=version)
