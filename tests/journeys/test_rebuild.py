"""Every projection is done again from the owners' archives while events go on arriving, and comes out equal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.journeys.test_restored_owners import work
from tests.support.databases import CHECKOUT, OWNER
from tests.support.eventually import eventually
from tests.support.system import System

OWNERS = ("inventory", "sla", "devlink")
PROJECTIONS = {"clients", "products", "modules", "installations", "contracts", "environments", "clocks", "tasks"}


async def say(system: System, service: str, *words: str) -> Any:
    """An operator's command, beside whatever else goes on; its answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", service, "messaging", *words,
        env={
            **os.environ, **system.environment(service),
            "DESK_OWNER_DATABASE_URL": system.database_url(service, OWNER),
        },
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return json.loads(answer)


async def rebuild(system: System, *words: str, owners: Sequence[str] = OWNERS) -> dict[str, dict[str, Any]]:
    """A rebuild, and the owners' telling again that it waits for; what it found, by projection."""
    rebuilding = asyncio.create_task(say(system, "tickets", "rebuild", *words))
    # Said too early a run is not seen from its beginning, and said again it is: as an operator would.
    while not rebuilding.done():
        await asyncio.gather(*[say(system, owner, "republish") for owner in owners])
        await asyncio.wait([rebuilding], timeout=3)
    return {one["table"]: one for one in rebuilding.result()["projections"]}


@asynccontextmanager
async def people_working(system: System) -> AsyncIterator[None]:
    """Tickets are opened, held, released and escalated all the while; what fails then is raised at the end."""

    async def go_on() -> None:
        number = 0
        while True:
            await work(system, number)
            number += 1

    working = asyncio.create_task(go_on())
    try:
        yield
    finally:
        working.cancel()
        (outcome,) = await asyncio.gather(working, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


def is_equal(found: dict[str, Any]) -> bool:
    return not (found["missing"] or found["surplus"] or found["different"])


def test_every_projection_is_rebuilt_equal_under_load_and_a_planted_difference_is_found(
    tmp_path: Path, postgres_url: str, kafka_bootstrap: str
) -> None:
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        asyncio.run(_play(system))


async def _play(system: System) -> None:
    async with people_working(system):
        await eventually(lambda: _reacted(system, 10), within=60)
        before = await _clocks(system)
        found = await rebuild(system)
        assert set(found) == PROJECTIONS
        assert {name: one for name, one in found.items() if not is_equal(one)} == {}
        assert found["clocks"]["rows"] > before >= 2 * 10, "it took in what people did meanwhile"
        assert found["clients"]["rows"] > 30
    await _plant(system)
    checked = await rebuild(system, "--check")
    differing = {
        name: (one["missing"], one["surplus"], one["different"]) for name, one in checked.items() if not is_equal(one)
    }
    assert differing == {"clients": (1, 0, 0), "environments": (0, 1, 0), "clocks": (0, 0, 1)}
    only = await rebuild(system, "clients", owners=("inventory",))
    assert {name: one["missing"] for name, one in only.items()} == {"clients": 1}
    repaired = await rebuild(system)
    assert not is_equal(repaired["clocks"])
    assert is_equal(repaired["clients"])
    again = await rebuild(system, "--check")
    assert {name: one for name, one in again.items() if not is_equal(one)} == {}


async def _reacted(system: System, count: int) -> bool:
    return await _clocks(system) >= 2 * count


async def _clocks(system: System) -> int:
    rows = await system.rows("tickets", "SELECT count(*) AS clocks FROM tickets.clocks")
    return int(rows[0]["clocks"])


async def _plant(system: System) -> None:
    """One row that is missing, one that should not be there, one that says otherwise; nobody works meanwhile."""
    await system.rows("tickets", "DELETE FROM tickets.clients WHERE id = (SELECT min(id) FROM tickets.clients)")
    await system.rows(
        "tickets",
        "INSERT INTO tickets.environments SELECT gen_random_uuid(), state, data, sequence "
        "FROM tickets.environments LIMIT 1",
    )
    await system.rows(
        "tickets",
        "UPDATE tickets.clocks SET target_seconds = target_seconds + 1 "
        "WHERE id = (SELECT id FROM tickets.clocks LIMIT 1)",
    )
