"""Pages that are read while tickets come, go and move: what stays where it is, is on them once and in its order."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tests.support.databases import OWNER, Database
from tests.tickets.desk import NOW
from tests.tickets.queries.plainly import OPEN, Known, furnish, minutes, plainly
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import Sort, list_tickets
from tickets.repository import queue

_LATER = "UPDATE tickets.clocks SET due_at = due_at + $2 WHERE ticket_id = $1 AND course = 'running'"
_ENDS = "UPDATE tickets.tickets SET status = 'closed', closed_at = opened_at + $2 WHERE id = $1"
_TAKEN = "UPDATE tickets.tickets SET assignee = 'eva', last_fact_at = last_fact_at + $2 WHERE id = $1"


async def change(desk: Database, ticket: Known, chance: Random) -> None:
    """Something happens to it, and the queue follows."""
    async with desk.connect(OWNER) as owner:
        await owner.execute(chance.choice([_LATER, _ENDS, _TAKEN]), ticket.id, minutes(chance, 500))
    async with desk.begin() as tx:
        await queue.refresh_open(tx, [ticket.id])


@pytest.mark.parametrize("sort", ["opened", "due"])
async def test_what_does_not_move_is_seen_once_and_in_order_whatever_else_moves(desk: Database, sort: Sort) -> None:
    known, chance, wanted = await furnish(desk), Random(5), TicketFilter(priority=[1, 2, 3])
    before = plainly(known, wanted, sort)
    open_ones = [one for one in known if one.status in OPEN]
    moving = {one.number for one in chance.sample(open_ones, 60)}
    found: list[str] = []
    after: tuple[Any, ...] | None = None
    while True:
        async with desk.begin() as tx:
            page = await list_tickets(tx, wanted, sort=sort, after=after, limit=6, now=NOW)
        found += [number for row in page if (number := json.loads(row[-1])["number"]) not in moving]
        if len(page) < 6:
            break
        after = page[-1][:-1]
        for one in chance.sample([one for one in open_ones if one.number in moving], 4):
            await change(desk, one, chance)
    still = [number for number in before if number not in moving]
    assert len(still) > 50
    assert found == still
