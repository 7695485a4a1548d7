"""The order of a ticket's instants is the order in which its facts were accepted, whatever the clocks say."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
import time_machine

from shared import clock
from shared.contracts.envelope import Cause
from shared.contracts.sla import SlaClockBreached
from shared.errors import Conflict
from shared.instants import STEP
from tests.support.clocks import unsteady
from tests.support.databases import Database
from tests.tickets.desk import NOW, a_call, cause, deliver, open_one
from tests.tickets.told import whole_story
from tickets.commands import tickets as commands

HANDS = 8
ROUNDS = 12


async def recorded(desk: Database, ticket_id: UUID) -> list[tuple[int, datetime, datetime]]:
    """A ticket's own facts in the order of their versions: version, occurred, recorded."""
    async with desk.connect() as connection:
        rows = await connection.fetch(
            "SELECT CAST(data -> 'ticket' ->> 'version' AS integer) AS version, occurred_at, recorded_at "
            "FROM tickets.history WHERE ticket_id = $1 AND source = 'tickets' ORDER BY 1",
            ticket_id,
        )
    return [(row["version"], row["occurred_at"], row["recorded_at"]) for row in rows]


async def row_of(desk: Database, ticket_id: UUID) -> dict[str, object]:
    async with desk.connect() as connection:
        return dict(await connection.fetchrow("SELECT * FROM tickets.tickets WHERE id = $1", ticket_id))


async def act(desk: Database, ticket_id: UUID, chance: random.Random) -> bool:
    """One caller does something, a moment after its request came; whether the ticket took it."""
    now = clock.now()
    why = Cause(actor="ana", occurred_at=now, recorded_at=now, correlation_id="r")
    await asyncio.sleep(chance.random() / 100)  # the way from the request to the lock
    try:
        async with desk.begin() as tx:
            match chance.randrange(7):
                case 0 | 1:
                    await commands.hold_ticket(tx, why, ticket_id, reason="waiting-for-client", note="¿versión?")
                case 2 | 3:
                    await commands.release_ticket(tx, why, ticket_id)
                case 4:
                    await commands.resolve_ticket(tx, why, ticket_id, code="configuracion", text="listo")
                case 5:
                    await commands.reopen_ticket(tx, why, ticket_id, reason="sigue igual")
                case _:
                    await commands.respond_ticket(tx, why, ticket_id, channel="phone", text="lo vemos")
    except Conflict:
        return False
    return True


async def test_many_callers_with_clocks_that_jump_leave_instants_that_grow(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsteady(monkeypatch)
    chance = random.Random(3)
    ticket_id = (await open_one(desk, at=clock.now())).ticket.id
    taken = 0
    for _ in range(ROUNDS):
        taken += sum(await asyncio.gather(*[act(desk, ticket_id, chance) for _ in range(HANDS)]))
    assert taken > ROUNDS
    facts = await recorded(desk, ticket_id)
    assert [version for version, _, _ in facts] == list(range(1, taken + 2))
    assert [(facts[n][1], facts[n][2]) for n in range(1, len(facts)) if facts[n][1] != facts[n][2]] == []
    assert [pair for pair in pairwise(at for _, at, _ in facts) if pair[0] >= pair[1]] == []
    row = await row_of(desk, ticket_id)
    assert row["last_fact_at"] == facts[-1][1]


async def test_what_was_sent_first_and_accepted_last_is_dated_last(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    early, late = cause(NOW + timedelta(minutes=1)), cause(NOW + timedelta(minutes=2))
    with time_machine.travel(NOW + timedelta(minutes=3), tick=False):
        async with desk.begin() as tx:
            await commands.hold_ticket(tx, late, ticket_id, reason="third-party", note="el lunes")
        async with desk.begin() as tx:
            await commands.release_ticket(tx, early, ticket_id)
    then = NOW + timedelta(minutes=3)
    assert await recorded(desk, ticket_id) == [(1, NOW, NOW), (2, then, then), (3, then + STEP, then + STEP)]


async def test_a_ticket_begins_with_the_instant_of_its_opening(desk: Database) -> None:
    async with desk.begin() as tx:
        done = await commands.open_ticket(tx, cause(), a_call(reported_at=NOW - timedelta(minutes=5)))
    assert (done.ticket.opened_at, done.ticket.last_fact_at) == (NOW, NOW)
    assert await recorded(desk, done.ticket.id) == [(1, NOW, NOW)]
    assert (await row_of(desk, done.ticket.id))["last_fact_at"] == NOW


async def test_what_other_services_tell_is_no_fact_to_come_after(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        for event in whole_story(ticket_id):
            # A breach calls somebody, which is a fact of the ticket.
            if not isinstance(event.data, SlaClockBreached):
                await deliver(tx, [event])
    assert (await row_of(desk, ticket_id))["last_fact_at"] == NOW


async def test_a_fact_that_was_dated_keeps_its_date_and_the_next_one_comes_after_its_recording(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    before, then = NOW + timedelta(minutes=1), NOW + timedelta(minutes=9)
    dated = Cause(actor="ana", occurred_at=before, recorded_at=NOW + timedelta(minutes=8), correlation_id="r")
    with time_machine.travel(then, tick=False):
        async with desk.begin() as tx:
            await commands.hold_ticket(tx, dated, ticket_id, reason="third-party", note="el lunes")
        async with desk.begin() as tx:
            await commands.release_ticket(tx, cause(), ticket_id)
    assert await recorded(desk, ticket_id) == [(1, NOW, NOW), (2, before, then), (3, then + STEP, then + STEP)]
