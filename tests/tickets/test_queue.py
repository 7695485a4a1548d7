"""The row of an open ticket in the queue is that of its ticket and clocks, whichever of them changes when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.contracts.envelope import Received
from shared.db.transaction import Transaction
from shared.errors import Conflict
from shared.ids import new_id
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, rows
from tests.tickets.told import later
from tickets.commands import tickets as commands
from tickets.repository import queue as queue_rows

TURNS = {"pending": 0, "immediate": 1, "running": 2, "paused": 3, "last": 4}


async def queue(desk: Database) -> list[dict[str, Any]]:
    """Every row."""
    async with desk.begin() as tx:
        return await rows(tx, "SELECT * FROM tickets.open_tickets ORDER BY id")


async def computed_anew(desk: Database) -> list[dict[str, Any]]:
    """Every row as ticket and clocks give it, with nothing there before."""
    async with desk.begin() as tx:
        await rows(tx, "DELETE FROM tickets.open_tickets RETURNING id")
        found = await rows(tx, "SELECT id FROM tickets.tickets")
        await queue_rows.refresh_open(tx, [row["id"] for row in found])
    return await queue(desk)


async def place(desk: Database) -> tuple[Any, ...]:
    """What the only row says of hands and clocks."""
    (row,) = await queue(desk)
    return row["assignee"], row["clocks"], row["due_at"], row["turn"]


async def test_a_new_ticket_stands_where_no_clock_has_come_yet(desk: Database) -> None:
    ticket = (await open_one(desk)).ticket
    assert await queue(desk) == [
        {
            "id": ticket.id, "number": "T-000001", "title_key": "nosepuedenemitirfacturas", "opened_at": NOW,
            "status": "new", "client_id": "molinos", "product_id": "gestion", "module_id": "facturacion",
            "installation_id": None, "severity": 2, "priority": 2, "level": 1, "target": None, "team": "mesa-de-ayuda",
            "owner": "ana", "assignee": None, "working": [], "calls": [], "clocks": "pending",
            "due_kind": None, "due_at": None, "breached": False, "turn": 0,
            "turn_by": int(NOW.timestamp()) * 1_000_000 + NOW.microsecond,
        }
    ]  # fmt: skip


async def test_the_row_follows_what_people_and_clocks_do_until_the_ticket_is_closed(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    seen: list[tuple[Any, ...]] = []
    steps: list[Callable[[Transaction], Awaitable[Any]]] = [
        lambda tx: deliver(tx, [told.started(ticket_id, 1)]),
        lambda tx: deliver(tx, [told.started(ticket_id, 2, clock_id=told.RESPONSE, hours=1)]),
        lambda tx: commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno"),
        lambda tx: deliver(tx, [told.met(ticket_id, 3)]),
        lambda tx: deliver(tx, [told.paused(ticket_id, 4)]),
        lambda tx: deliver(tx, [told.resumed(ticket_id, 5)]),
        lambda tx: commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x"),
    ]
    with time_machine.travel(NOW, tick=False):
        for step in steps:
            async with desk.begin() as tx:
                await step(tx)
            seen.append(await place(desk))
        async with desk.begin() as tx:
            await commands.close_ticket(tx, cause(), ticket_id)
    day = later(24 * 60)
    assert seen == [
        (None, "running", day, 2), (None, "running", later(60), 2), ("bruno", "running", later(60), 2),
        ("bruno", "running", day, 2), ("bruno", "paused", None, 3), ("bruno", "running", later(1460), 2),
        ("bruno", "running", later(1460), 4),
    ]  # fmt: skip
    assert await queue(desk) == []
    async with desk.begin() as tx:
        await deliver(tx, [told.stopped(ticket_id, 6)])
    assert await queue(desk) == []


async def blocked(desk: Database) -> bool:
    """Whether a session, of whichever role, waits for a lock of another one."""
    return bool(
        await desk.count(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE datname = current_database() AND NOT granted"
        )
    )


async def assign(desk: Database, ticket_id: UUID) -> None:
    async with desk.begin() as tx:
        await commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno")


async def start(desk: Database, ticket_id: UUID) -> None:
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket_id, 1)])


BOTH = ("bruno", "running", later(24 * 60), TURNS["running"])


async def test_a_command_that_meets_a_projection_waits_and_sees_its_clocks(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket_id, 1)])
        await tx.flush()
        command = asyncio.create_task(assign(desk, ticket_id))
        await eventually(lambda: blocked(desk))
    await command
    assert await place(desk) == BOTH


async def test_a_projection_that_meets_a_command_waits_and_sees_its_hands(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    await meet_a_command(desk, ticket_id)
    assert await place(desk) == BOTH


async def meet_a_command(desk: Database, ticket_id: UUID) -> None:
    """A projection that begins while a command has not committed."""
    async with desk.begin() as tx:
        await commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno")
        await tx.flush()
        projection = asyncio.create_task(start(desk, ticket_id))
        await eventually(lambda: blocked(desk))
    await projection


async def test_without_the_lock_the_projection_would_put_back_what_it_had_read(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lock_nothing(tx: Transaction, ids: Collection[UUID]) -> list[UUID]:
        return list(ids)

    ticket_id = (await open_one(desk)).ticket.id
    monkeypatch.setattr(queue_rows, "lock_tickets", lock_nothing)
    await meet_a_command(desk, ticket_id)
    assert await place(desk) == (None, *BOTH[1:])


async def test_two_projections_of_one_ticket_at_once_end_with_both_clocks(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket_id, 2, clock_id=told.RESPONSE, hours=1)])
        await tx.flush()
        other = asyncio.create_task(start(desk, ticket_id))
        await eventually(lambda: blocked(desk))
    await other
    async with desk.begin() as tx:
        await deliver(tx, [told.met(ticket_id, 3)])
    assert (await place(desk))[1:] == BOTH[1:]


async def test_many_commands_and_projections_at_once_leave_what_is_computed_anew(desk: Database) -> None:
    tickets = [(await open_one(desk, NOW - timedelta(minutes=n))).ticket.id for n in range(4)]
    clocks = {ticket: new_id() for ticket in tickets}
    chance = random.Random(10)

    async def several(tx: Transaction) -> None:
        """One batch about some of the tickets, as a member of the consumer's group applies it."""
        kinds: list[Callable[..., Received[Any]]] = [told.started, told.paused, told.resumed, told.breached]
        for ticket in sorted(chance.sample(tickets, 2)):
            event = chance.choice(kinds)(ticket, chance.randrange(1, 10_000), clock_id=clocks[ticket])
            await deliver(tx, [event])

    async def act(ticket: UUID) -> None:
        try:
            async with desk.begin() as tx:
                match chance.randrange(9):
                    case 0:
                        await commands.assign_ticket(tx, cause(), ticket, assignee=chance.choice(["ana", "bruno"]))
                    case 1:
                        await commands.hold_ticket(tx, cause(), ticket, reason="third-party", note="x")
                    case 2:
                        await commands.release_ticket(tx, cause(), ticket)
                    case 3:
                        await commands.resolve_ticket(tx, cause(), ticket, code="configuracion", text="x")
                    case 4:
                        await commands.close_ticket(tx, cause(), ticket)
                    case 5:
                        await commands.reopen_ticket(tx, cause(), ticket, reason="x")
                    case _:
                        await several(tx)
        except Conflict:
            return

    for _ in range(25):
        await asyncio.gather(*[act(chance.choice(tickets)) for _ in range(8)])
    found = await queue(desk)
    ended = await desk.count("SELECT count(*) FROM tickets.tickets WHERE status = 'closed'")
    assert len(found) == 4 - ended
    assert found == await computed_anew(desk)
