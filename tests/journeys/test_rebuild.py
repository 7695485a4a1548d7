"""Every projection is emptied under load and done again from the owners' archives, and comes out as it was."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from shared.messaging.kafka import Cluster, end_offsets
from tests.journeys.test_restored_owners import work
from tests.support.databases import CHECKOUT, OWNER
from tests.support.eventually import eventually
from tests.support.system import SERVICES, System

OWNERS = ("inventory", "sla", "devlink")
# Those that are the same for all tickets, and the column that names the ticket in the others.
REFERENCE = ("clients", "products", "modules", "installations", "contracts")
OF_TICKETS = {"environments": "ticket_id", "clocks": "ticket_id", "tasks": "ticket_id"}
PROJECTIONS = {*REFERENCE, *OF_TICKETS}
# Follows from clocks: emptied and filled again with them.
QUEUE = {"open_tickets": "id"}
EARLIER, LIVE = 4, 2


class Rebuilding:
    """An operator's `messaging rebuild` that runs, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode().rstrip())

    async def says(self, pattern: str) -> str:
        """The first line that is like this."""

        async def said() -> str | None:
            return next((line for line in self.said if re.search(pattern, line)), None)

        return await eventually(said, within=60, what=f"{pattern} in {self.said}") or ""

    async def found(self) -> dict[str, dict[str, Any]]:
        """What it found at its end, by projection."""
        assert self.process.stdout is not None
        answer = await self.process.stdout.read()
        await self._listening
        assert await self.process.wait() == 0, self.said
        return {one["table"]: one for one in json.loads(answer)["projections"]}


async def start(system: System, service: str, *words: str) -> asyncio.subprocess.Process:
    """An operator's command, beside whatever else goes on."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", service, "messaging", *words,
        env={
            **os.environ, **system.environment(service),
            "DESK_OWNER_DATABASE_URL": system.database_url(service, OWNER),
        },
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def say(system: System, service: str, *words: str) -> Any:
    """The same to its end; its answer."""
    process = await start(system, service, *words)
    answer, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return json.loads(answer)


async def rebuild(
    system: System, *words: str, of: str = "tickets", owners: Sequence[str] = OWNERS
) -> dict[str, dict[str, Any]]:
    """A rebuild, and the owners' telling again once it waits for that; what it found, by projection."""
    rebuilding = Rebuilding(await start(system, of, "rebuild", *words))
    # What it says first is that it waits; what it says next, that it listens.
    await rebuilding.says("still to come")
    await asyncio.gather(*[say(system, owner, "republish") for owner in owners])
    return await rebuilding.found()


async def rebuild_step_by_step(system: System) -> dict[str, dict[str, Any]]:
    """The same, one owner after the other, with what the operator reads meanwhile."""
    rebuilding = Rebuilding(await start(system, "tickets", "rebuild"))
    first = await rebuilding.says("waiting for")
    assert all(f"`python -m {owner} messaging republish`" in first for owner in OWNERS)
    assert re.search("^0 events applied; still to come: devlink, inventory, sla$", await rebuilding.says("still to"))
    for owner, left in (("inventory", "devlink, sla"), ("sla", "devlink")):
        await say(system, owner, "republish")
        assert re.search(r"^[1-9]\d* events applied", await rebuilding.says(f"still to come: {left}$"))
    await say(system, "devlink", "republish")
    return await rebuilding.found()


# -- what goes on meanwhile -------------------------------------------------------------------------------------------


@asynccontextmanager
async def people_working(system: System, tickets: Sequence[str]) -> AsyncIterator[list[str]]:
    """These tickets are held and released all the while, which moves their clocks; yields what was done. New ones are
    opened too, where the clients are known."""
    done: list[str] = []

    async def act(agent: httpx2.AsyncClient, ticket: str, action: str, **body: Any) -> None:
        answer = await agent.post(f"/v1/tickets/{ticket}/{action}", json=body, headers={"if-match": "*"})
        answer.raise_for_status()
        done.append(action)

    async def go_on() -> None:
        async with system.client() as agent:
            while True:
                for ticket in tickets:
                    await act(agent, ticket, "hold", reason="waiting-for-client", note="¿desde cuándo?")
                    await act(agent, ticket, "release")
                try:
                    await work(system, len(done))
                except httpx2.HTTPStatusError as refused:
                    if refused.response.status_code >= 500:
                        raise
                else:
                    done.append("opened")

    working = asyncio.create_task(go_on())
    try:
        yield done
    finally:
        working.cancel()
        (end,) = await asyncio.gather(working, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError), repr(end)


async def applied(system: System) -> int:
    """How many records the consumer of tickets has read."""
    (row,) = await system.rows("tickets", "SELECT sum(next_offset) AS read FROM runtime.offsets")
    return int(row["read"])


async def come_to_rest(system: System) -> None:
    """Until every relay has sent what it has, and every consumer has read all of it."""
    cluster = Cluster(system.kafka_bootstrap, system.prefix)

    async def at_rest() -> bool:
        told = 0
        for service in SERVICES:
            (row,) = await system.rows(service, "SELECT count(*) AS waiting FROM runtime.outbox")
            stored = {
                (one["topic"], one["partition"]): one["next_offset"]
                for one in await system.rows(service, "SELECT topic, partition, next_offset FROM runtime.offsets")
            }
            ends = await end_offsets(cluster, sorted({topic for topic, _ in stored}))
            if row["waiting"] or any(stored.get(place, 0) < end for place, end in ends.items()):
                return False
            told += sum(ends.values())
        if told != seen[-1]:
            seen.append(told)  # what was applied last may have told more
            return False
        return True

    seen = [-1]
    await eventually(at_rest, within=120, what="all at rest")


# -- what is there ----------------------------------------------------------------------------------------------------


async def digests(system: System, tickets: Sequence[str] | None = None) -> dict[str, tuple[int, str]]:
    """Of each projection and the queue the number of rows and a hash over all of them as text, in order; of what is of
    tickets, only of these. By plain SQL, so that nothing of the rebuild judges itself."""
    found = {}
    for table in (*REFERENCE, *OF_TICKETS, *QUEUE):
        column = {**OF_TICKETS, **QUEUE}.get(table)
        if column and tickets is not None:
            found[table] = await digest(system, "tickets", table, f"WHERE {column} = ANY($1::uuid[])", tickets)
        else:
            found[table] = await digest(system, "tickets", table)
    return found


async def digest(system: System, service: str, table: str, of: str = "", *values: Any) -> tuple[int, str]:
    """Of one table."""
    (row,) = await system.rows(
        service,
        "SELECT count(*) AS rows, encode(sha256(convert_to("
        f"coalesce(string_agg(t::text, E'\n' ORDER BY t::text), ''), 'UTF8')), 'hex') AS hash "
        f"FROM {service}.{table} t {of}",
        *values,
    )
    return row["rows"], row["hash"]


async def empty(system: System) -> None:
    """All of it is gone, at one instant."""

    async def truncated() -> bool:
        # Whoever works has the tables in another order. This gives way first, so that nobody else is refused over it.
        connection = await asyncpg.connect(system.database_url("tickets", OWNER))
        try:
            await connection.execute("SET lock_timeout = '200ms'")
            await connection.execute("TRUNCATE " + ", ".join(f"tickets.{table}" for table in (*PROJECTIONS, *QUEUE)))
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            return False
        finally:
            await connection.close()
        return True

    await eventually(truncated, within=60)


async def require_what_the_owners_have(system: System) -> None:
    """Clocks and tasks as the databases of their owners say."""
    for owner, theirs, ours in (
        (
            "sla",
            "SELECT id, ticket_id, kind, course, breached_at, target_seconds FROM sla.clocks",
            "SELECT id, ticket_id, kind, course, breached_at, target_seconds FROM tickets.clocks",
        ),
        (
            "devlink",
            "SELECT t.id, l.ticket_id, t.status FROM devlink.tasks t JOIN devlink.links l ON l.task_id = t.id",
            "SELECT id, ticket_id, status FROM tickets.tasks",
        ),
    ):
        assert set(map(tuple, await system.rows(owner, theirs))) == set(map(tuple, await system.rows("tickets", ours)))


def is_equal(found: dict[str, Any]) -> bool:
    return not (found["missing"] or found["surplus"] or found["different"])


def differences(found: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """What is not as it should be: rows missing, surplus, different."""
    return {
        name: (one["missing"], one["surplus"], one["different"]) for name, one in found.items() if not is_equal(one)
    }


# Some twenty commands of an operator, each a process.
@pytest.mark.timeout(900)
def test_every_projection_that_was_emptied_under_load_is_as_it_was_and_a_planted_difference_is_found(
    tmp_path: Path, postgres_url: str, kafka_bootstrap: str
) -> None:
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        asyncio.run(_play(system))


async def _play(system: System) -> None:
    earlier = [await work(system, number) for number in range(EARLIER)]
    live = [await work(system, number) for number in range(LIVE)]
    await come_to_rest(system)
    await _move_tasks(system)
    await come_to_rest(system)
    await _empty_and_rebuild_under_load(system, earlier, live)
    await come_to_rest(system)
    await require_what_the_owners_have(system)
    await _empty_and_rebuild_at_rest(system)
    await _empty_and_rebuild_what_others_keep_of_tickets(system)
    await _find_what_is_planted(system)


async def _move_tasks(system: System) -> None:
    async with system.client("devlink", "developer") as developer:
        for task in (await developer.get("/v1/tasks")).raise_for_status().json()["items"][::2]:
            moved = await developer.post(
                f"/v1/tasks/{task['id']}/move", json={"status": "triaged"}, headers={"if-match": "*"}
            )
            moved.raise_for_status()


async def _empty_and_rebuild_under_load(system: System, earlier: Sequence[str], live: Sequence[str]) -> None:
    """What nobody touched meanwhile is as it was before, row by row, and what came meanwhile is there too."""
    before = await digests(system, earlier)
    assert all(rows for rows, _ in before.values()), before
    async with people_working(system, live) as done:
        await eventually(lambda: _are_more(done, 4))
        await empty(system)
        (acted, read) = len(done), await applied(system)
        found = await rebuild_step_by_step(system)
        assert len(done) > acted, "people went on working meanwhile"
        assert await applied(system) > read, "events went on arriving meanwhile"
        await eventually(lambda: _are_more([one for one in done if one == "opened"], 1), what="clients are known again")
    assert set(found) == PROJECTIONS
    assert all(found[name]["missing"] == found[name]["rows"] == before[name][0] for name in REFERENCE), found
    assert found["environments"]["missing"] >= EARLIER + LIVE
    assert found["tasks"]["missing"] >= EARLIER + LIVE
    assert found["clocks"]["different"] == 0, "an event carries the whole clock, whatever was lost before it"
    await come_to_rest(system)
    assert await digests(system, earlier) == before


async def _empty_and_rebuild_at_rest(system: System) -> None:
    """Nobody works: everything, what came under load too, is as before."""
    before = await digests(system)
    await empty(system)
    assert {rows for rows, _ in (await digests(system)).values()} == {0}
    found = await rebuild(system)
    assert {name: one["missing"] for name, one in found.items()} == {name: before[name][0] for name in PROJECTIONS}
    assert await digests(system) == before


async def _empty_and_rebuild_what_others_keep_of_tickets(system: System) -> None:
    """The replica of every other service, from what tickets has told."""
    for service in OWNERS:
        before = await digest(system, service, "tickets")
        connection = await asyncpg.connect(system.database_url(service, OWNER))
        await connection.execute(f"TRUNCATE {service}.tickets")
        await connection.close()
        found = await rebuild(system, of=service, owners=("tickets",))
        assert {name: one["missing"] for name, one in found.items()} == {"tickets": before[0]}
        assert await digest(system, service, "tickets") == before


async def _find_what_is_planted(system: System) -> None:
    """The counter-proof: what is wrong is named, and put right only where that was asked for."""
    before = await digests(system)
    await _plant(system)
    planted = {"clients": (1, 0, 0), "environments": (0, 1, 0), "clocks": (0, 0, 1)}
    wrong = await digests(system)
    assert {name for name in before if wrong[name] != before[name]} == set(planted)
    assert differences(await rebuild(system, "--check")) == planted
    assert await digests(system) == wrong
    only = await rebuild(system, "clients", owners=("inventory",))
    assert {name: one["missing"] for name, one in only.items()} == {"clients": 1}
    assert set(differences(await rebuild(system))) == {"environments", "clocks"}
    assert await digests(system) == before


async def _are_more(done: Sequence[str], than: int) -> bool:
    return len(done) > than


async def _plant(system: System) -> None:
    """One row that is missing, one that should not be there, one that says otherwise; nobody works meanwhile."""
    await system.rows("tickets", "DELETE FROM tickets.clients WHERE id = (SELECT min(id) FROM tickets.clients)")
    await system.rows(
        "tickets",
        "INSERT INTO tickets.environments (ticket_id, classification, state, data, sequence) "
        "SELECT gen_random_uuid(), classification, state, data, sequence FROM tickets.environments LIMIT 1",
    )
    await system.rows(
        "tickets",
        "UPDATE tickets.clocks SET target_seconds = target_seconds + 1 "
        "WHERE id = (SELECT id FROM tickets.clocks LIMIT 1)",
    )
