"""Putting clocks right moves the queue with them, and stands in nobody's way: neither people's nor a retry's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple
from typing import Any
from uuid import UUID

from shared import clock
from shared.contracts.envelope import Received
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin_on
from shared.messaging import parking
from shared.messaging.kafka import Cluster
from shared.messaging.rebuild import Rebuild
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.tickets import told
from tests.tickets.desk import REACTIONS, cause, deliver, open_one
from tests.tickets.test_queue import TURNS, blocked, place
from tests.tickets.told import later
from tickets import projections
from tickets.commands import tickets as commands
from tickets.repository import queue

DAY = 24 * 60


@asynccontextmanager
async def rebuilding(desk: Database, events: Sequence[Received[Any]]) -> AsyncIterator[tuple[Rebuild, Transaction]]:
    """A rebuild of clocks to which their owner has told these events again; committed at the end."""
    work = Rebuild(
        service="tickets", owner_url=desk.owner_url, cluster=Cluster("nobody:1"), reactions=REACTIONS,
        projections=projections.PROJECTIONS, tables=["clocks"],
    )  # fmt: skip
    engine = make_engine(desk.owner_url, application="test", pool_size=1)
    try:
        async with engine.lend() as connection:
            await connection.execute("CREATE TEMPORARY TABLE clocks (LIKE tickets.clocks INCLUDING ALL)")
            async with begin_on(connection) as tx:
                rows = projections.PROJECTIONS.rows_of(events)
                await projections.PROJECTIONS.write(tx, rows, replayed=True)
                await tx.flush()
                yield work, tx
    finally:
        await engine.dispose()


async def planted(desk: Database) -> UUID:
    """A ticket whose clock, and so its place in the queue, is an hour off what its owner told."""
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket_id, 1, hours=1)])
    assert await place(desk) == (None, "running", later(60), TURNS["running"])
    return ticket_id


async def put_right(desk: Database, *events: Received[Any]) -> list[tuple[Any, ...]]:
    async with rebuilding(desk, events) as (work, tx):
        return [astuple(one) for one in await work.compare(tx, change=True)]


async def test_a_clock_that_is_put_right_moves_its_ticket_in_the_queue(desk: Database) -> None:
    ticket_id = await planted(desk)
    async with rebuilding(desk, [told.started(ticket_id, 1)]) as (work, tx):
        assert [astuple(one) for one in await work.compare(tx, change=False)] == [("clocks", 1, 0, 0, 1)]
    assert await place(desk) == (None, "running", later(60), TURNS["running"])
    assert await put_right(desk, told.started(ticket_id, 1)) == [("clocks", 1, 0, 0, 1)]
    assert await place(desk) == (None, "running", later(DAY), TURNS["running"])


async def meanwhile(desk: Database, ticket_id: UUID, do: Callable[[Transaction], Awaitable[Any]]) -> None:
    """Somebody has locked the ticket when a rebuild begins, and writes what comes next then."""
    async with desk.begin() as tx:
        await queue.lock_tickets(tx, [ticket_id])
        putting = asyncio.create_task(put_right(desk, told.started(ticket_id, 1), told.paused(ticket_id, 2)))
        await eventually(lambda: blocked(desk))
        await do(tx)
    await putting


async def test_a_command_that_meets_a_rebuild_goes_on_and_the_rebuild_waits(desk: Database) -> None:
    ticket_id = await planted(desk)
    await meanwhile(desk, ticket_id, lambda tx: commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno"))
    assert await place(desk) == ("bruno", "paused", None, TURNS["paused"])


async def test_a_projection_that_meets_a_rebuild_writes_its_clock_and_neither_is_a_victim(desk: Database) -> None:
    ticket_id = await planted(desk)
    await meanwhile(desk, ticket_id, lambda tx: deliver(tx, [told.paused(ticket_id, 2)]))
    assert await place(desk) == (None, "paused", None, TURNS["paused"])


async def test_a_closed_ticket_that_is_reopened_meanwhile_comes_back_where_the_rebuild_puts_it(desk: Database) -> None:
    ticket_id = await planted(desk)
    async with desk.begin() as tx:
        await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
        await commands.close_ticket(tx, cause(), ticket_id)

    async def reopen() -> None:
        async with desk.begin() as tx:
            await commands.reopen_ticket(tx, cause(), ticket_id, reason="sigue igual")

    async def waits_or_is_done() -> bool:
        return reopening.done() or await blocked(desk)

    async with rebuilding(desk, [told.started(ticket_id, 1)]) as (work, tx):
        await work.compare(tx, change=True)
        reopening = asyncio.create_task(reopen())
        await eventually(waits_or_is_done)
    await reopening
    assert await place(desk) == (None, "running", later(DAY), TURNS["running"])


async def test_what_is_parked_is_retried_after_a_rebuild_and_not_beside_it(desk: Database) -> None:
    ticket_id = await planted(desk)
    key = {"topic": "desk.sla.v1", "key": str(ticket_id), "now": clock.now()}
    async with desk.begin() as tx:
        await tx.execute(
            sql("INSERT INTO runtime.blocked_keys (topic, key, blocked_at, next_attempt_at) "
                "VALUES (:topic, :key, :now, :now)"), key,
        )  # fmt: skip
    async with rebuilding(desk, [told.started(ticket_id, 1)]) as (work, tx):
        await work.compare(tx, change=True)
        async with desk.begin() as retry:
            assert await parking.retry_parked(retry, clock.now(), REACTIONS) == 0
    async with desk.begin() as retry:
        assert await parking.retry_parked(retry, clock.now(), REACTIONS) == 1
