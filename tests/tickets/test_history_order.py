"""The history of a ticket grows at its end only: whoever has read up to a position misses nothing that comes later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.envelope import Received
from shared.db.transaction import Transaction
from shared.errors import Conflict
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.tickets import told
from tests.tickets.desk import PEOPLE, cause, deliver, open_one, received
from tests.tickets.test_queue import blocked
from tickets.commands import tickets as commands
from tickets.queries import history
from tickets.queries.history import HistoryEntry

Told = Callable[[UUID, int], Received[Any]]


async def read_on(desk: Database, ticket_id: UUID, after: int | None) -> list[HistoryEntry]:
    """Everything that was recorded after a position, as a caller sees it that follows the pages."""
    async with desk.begin() as tx:
        page = await history.page_history(tx, ticket_id, after=None if after is None else (after,), limit=500)
    return [HistoryEntry.model_validate_json(entry) for _, entry in page]


async def assign(tx: Transaction, ticket_id: UUID) -> None:
    await commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno")


def telling(event_of: Told) -> Callable[[Transaction, UUID], Awaitable[None]]:
    """What a consumer does about an event."""

    async def hear(tx: Transaction, ticket_id: UUID) -> None:
        await deliver(tx, [event_of(ticket_id, 1)])

    return hear


@pytest.mark.parametrize("event_of", [told.started, told.resolved, told.linked])
@pytest.mark.parametrize("person_first", [True, False])
async def test_whoever_reads_between_two_that_write_at_once_misses_neither(
    desk: Database, event_of: Told, person_first: bool
) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    first, second = (assign, telling(event_of)) if person_first else (telling(event_of), assign)

    async def follow_up() -> None:
        async with desk.begin() as tx:
            await second(tx, ticket_id)

    async def waits_or_is_done() -> bool:
        return following.done() or await blocked(desk)

    async with desk.begin() as tx:
        await first(tx, ticket_id)
        await tx.flush()
        following = asyncio.create_task(follow_up())
        await eventually(waits_or_is_done)
        before = await read_on(desk, ticket_id, None)
        assert not following.done(), "it must wait for what stands before it in the history"
    await following
    after = await read_on(desk, ticket_id, before[-1].position)
    assert before + after == await read_on(desk, ticket_id, None)
    types = ["desk.ticket.assigned.v1", event_of(ticket_id, 1).type]
    assert [one.type for one in after] == (types if person_first else types[::-1])


async def test_what_one_batch_tells_of_several_tickets_waits_for_all_of_them(desk: Database) -> None:
    tickets = [(await open_one(desk)).ticket.id for _ in range(3)]

    async def batch() -> None:
        async with desk.begin() as tx:
            await deliver(tx, [told.linked(one, 1) for one in reversed(tickets)])

    async with desk.begin() as tx:
        await assign(tx, tickets[1])
        await tx.flush()
        batched = asyncio.create_task(batch())
        await eventually(lambda: blocked(desk))
        assert [len(await read_on(desk, one, None)) for one in tickets] == [1, 1, 1]
    await batched
    assert [len(await read_on(desk, one, None)) for one in tickets] == [2, 3, 2]


async def test_a_follower_of_the_pages_has_seen_everything_whoever_writes_meanwhile(desk: Database) -> None:
    tickets = [(await open_one(desk)).ticket.id for _ in range(3)]
    seen: dict[UUID, list[HistoryEntry]] = {one: [] for one in tickets}
    chance = random.Random(4)

    async def batch(tx: Transaction) -> None:
        kinds: list[Told] = [told.started, told.resolved, told.unknown, told.linked]
        chosen = [(chance.choice(kinds), one) for one in chance.sample(tickets, 2)]
        await deliver(tx, [received(kind(one, 1).data, sequence=chance.randrange(10_000)) for kind, one in chosen])

    async def act() -> None:
        with suppress(Conflict):
            async with desk.begin() as tx:
                if chance.random() < 0.5:
                    await batch(tx)
                else:
                    person = chance.choice(PEOPLE)
                    await commands.assign_ticket(tx, cause(), chance.choice(tickets), assignee=person)
                await tx.flush()
                await asyncio.sleep(chance.choice([0, 0, 0.02]))  # the case itself: some commit late, others at once

    async def follow() -> None:
        for one, entries in seen.items():
            entries.extend(await read_on(desk, one, entries[-1].position if entries else None))

    for _ in range(30):
        acting = asyncio.gather(*[act() for _ in range(5)])
        while not acting.done():
            await follow()
    await follow()
    whole = {one: await read_on(desk, one, None) for one in tickets}
    assert sum(map(len, whole.values())) > 100
    assert seen == whole
