"""What comes again under an id that was applied is projected by its sequence, and has no effect a second time.

An owner that was restored tells again what follows from the same cause, under the same ids and higher sequences, and
between the two it may have told what it takes back so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.tickets import TicketAssigned, TicketOpened
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.messaging import parking
from shared.messaging.batch import BatchApplier
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.records import Record
from shared.projection import Projection, Projections, Row
from tests.shared.messaging.story import assigned, count_effects, effects, message, opened, prepare_effects, ticket
from tests.support.databases import OWNER, Database

Make = Callable[[str], Awaitable[Database]]
KEPT = Projection("kept", ("id",), {"sequence": ("number",)})


def _row(event: Received[Any]) -> Row:
    return {"id": event.data.ticket_id, "number": event.data.ticket.number, "sequence": event.sequence}


PROJECTIONS = Projections("public", dict.fromkeys((TicketOpened, TicketAssigned), (KEPT, _row)))
BAD = 13


async def keep(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    await PROJECTIONS.apply(tx, events)


async def keep_and_count(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """The projection, then the effect, which one ticket makes fail."""
    await keep(tx, events)
    if any(event.data.ticket_id == ticket(BAD) for event in events):
        raise ValueError("a mistake")
    await count_effects(tx, events)


PROJECTING = Reactions(
    [Reaction(TicketOpened, keep_and_count, True, keep), Reaction(TicketAssigned, keep_and_count, True, keep)]
)
REACTING = Reactions([Reaction(TicketOpened, count_effects, True), Reaction(TicketAssigned, count_effects, True)])


@pytest.fixture
async def db(database: Make) -> Database:
    made = await database("runtime")
    await prepare_effects(made)
    async with made.connect(OWNER) as connection:
        await connection.execute("CREATE TABLE public.kept (id uuid PRIMARY KEY, number text, sequence bigint)")
        await connection.execute("GRANT SELECT, INSERT, UPDATE ON public.kept TO test_serving")
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 0)")
    return made


def record(told: tuple[str, bytes, bytes, list[Any]], offset: int) -> Record:
    topic, key, value, headers = told
    return Record(topic, 0, offset, key, tuple(headers), value)


async def apply(db: Database, *told: tuple[str, bytes, bytes, list[Any]], start: int, react: Reactions) -> None:
    await BatchApplier(db.engine, react, lambda: None).apply(
        [record(one, start + number) for number, one in enumerate(told)]
    )


async def kept(db: Database) -> list[tuple[str, int]]:
    async with db.connect() as connection:
        rows = await connection.fetch("SELECT number, sequence FROM public.kept ORDER BY 1")
    return [(row["number"], row["sequence"]) for row in rows]


async def numbers(db: Database) -> list[int]:
    return [row["number"] for row in await effects(db)]


async def test_what_was_taken_back_is_projected_and_not_done_again(db: Database) -> None:
    known = new_id()
    right, wrong = opened(1, of=1), assigned(2, of=1)
    await apply(db, message(right, 10, id=known), message(wrong, 20), start=0, react=PROJECTING)
    await apply(db, message(right, 30, id=known), start=2, react=PROJECTING)
    assert await kept(db) == [("T-000001", 30)]
    assert await numbers(db) == [1, 2]


async def test_a_repetition_of_something_older_changes_nothing(db: Database) -> None:
    known = new_id()
    first, later = opened(1, of=1), assigned(2, of=1)
    await apply(
        db, message(first, 10, id=known), message(later, 20), message(first, 10, id=known), start=0, react=PROJECTING
    )
    assert await kept(db) == [("T-000002", 20)]
    assert await numbers(db) == [1, 2]


async def test_it_is_so_one_by_one_as_well(db: Database) -> None:
    """Beside a message that fails, each is applied by itself."""
    known = new_id()
    await apply(db, message(opened(1, of=1), 10, id=known), message(assigned(2, of=1), 20), start=0, react=PROJECTING)
    again, bad = message(opened(1, of=1), 30, id=known), message(opened(5, of=BAD), 31)
    await apply(db, bad, again, message(opened(6, of=6), 32), start=2, react=PROJECTING)
    assert await kept(db) == [("T-000001", 30), ("T-000006", 32)]
    assert await numbers(db) == [1, 2, 6]


async def test_it_is_so_for_what_was_parked(db: Database) -> None:
    """It waited behind another of its key, and is retried."""
    known = new_id()
    await apply(
        db, message(opened(1, of=BAD), 10), message(assigned(3, of=BAD), 30, id=known), start=0, react=PROJECTING
    )
    async with db.begin() as tx:
        assert await parking.claim_id(tx, known, clock.now())
    mended = Reactions([Reaction(one, keep, True, keep) for one in (TicketOpened, TicketAssigned)])
    async with db.begin() as tx:
        await parking.retry_parked(tx, clock.now() + timedelta(hours=1), mended)
    assert await kept(db) == [("T-000003", 30)]


async def test_whoever_projects_nothing_drops_it(db: Database) -> None:
    known = new_id()
    await apply(
        db, message(opened(1, of=1), 10, id=known), message(opened(1, of=1), 30, id=known), start=0, react=REACTING
    )
    assert await numbers(db) == [1]
