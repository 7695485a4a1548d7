"""tickets and sla say the same of every clock to the second: at every edge of a week and at any instant of it.

Both are asked with the same now. What one tells the other is delivered as the consumer does it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import cycle
from random import Random
from typing import Any

from shared.business_time.seconds import second
from shared.contracts.envelope import Cause, Received
from shared.contracts.topics import BY_TYPE
from sla.commands.contracts import record_contracts
from sla.documents import ContractRecord
from sla.queries.clocks import get_ticket_clocks
from tests.sla.telling import Story, at, fire_all, tell
from tests.sla.test_switching import EIGHT_TO_EIGHT, activate, switch_all, week
from tests.support.databases import Database
from tests.tickets import desk as tickets_desk
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import list_tickets
from tickets.queries.tickets import view_ticket

HOUR, DAY = 3600, 24 * 3600
# Friday the 20th of March, ten minutes before closing, in front of a bridge day and a holiday.
FRIDAY = 18 * DAY + 9 * HOUR - 600
END = FRIDAY + 8 * DAY
INSTANTS = 1000
SAID = ("kind", "due_at", "state", "remaining_seconds", "overdue_wall_seconds", "ticking", "ticking_changes_at")
Make = Callable[[str], Awaitable[Database]]


class Desk:
    """Both databases, and how far tickets has heard what sla told."""

    def __init__(self, sla: Database, tickets: Database) -> None:
        self.sla = sla
        self.tickets = tickets
        self.heard = 0
        self.stories: list[Story] = []

    async def open(self, seconds: float, **of: Any) -> Story:
        """A ticket of tickets, whose opening sla hears."""
        ticket = (await tickets_desk.open_one(self.tickets, at(seconds), severity=of.get("severity", 3))).ticket
        story = Story(ticket_id=ticket.id, **of)
        await tell(self.sla, story.opened(seconds))
        self.stories.append(story)
        return story

    async def deliver(self) -> None:
        """Whatever sla has told meanwhile."""
        async with self.sla.connect() as connection:
            rows = await connection.fetch(
                "SELECT position, type, value, occurred_at FROM runtime.archive WHERE position > $1 ORDER BY position",
                self.heard,
            )
        if rows:
            self.heard = rows[-1]["position"]
            async with self.tickets.begin() as tx:
                await tickets_desk.deliver(tx, [_received(row) for row in rows])

    async def agree(self, now: datetime, looked_at: Sequence[Story]) -> None:
        """List, view and sla at an instant."""
        async with self.tickets.begin() as tx:
            page = await list_tickets(tx, TicketFilter(), sort="due", after=None, limit=100, now=now)
            views = [json.loads((await view_ticket(tx, one.ticket_id, now, ()))[1]) for one in looked_at]
        rows = {row["id"]: row for row in (json.loads(each[-1]) for each in page)}
        async with self.sla.begin() as tx:
            told = [await get_ticket_clocks(tx, one.ticket_id, now) for one in looked_at]
        for story, view, clocks in zip(looked_at, views, told, strict=True):
            assert clocks is not None
            expected = {one.kind: _said(one.model_dump(mode="json")) for one in clocks.clocks}
            assert {one["kind"]: _said(one) for one in view["clocks"]} == expected, (story, now)
            row = rows[str(story.ticket_id)]
            for kind, said in expected.items():
                assert _said({"kind": kind, **row[kind]}) == said, (story, now)


def _received(row: Any) -> Received[Any]:
    data = BY_TYPE[row["type"]].model_validate_json(row["value"])
    return tickets_desk.received(data, sequence=row["position"], at=row["occurred_at"])


def _said(shown: dict[str, Any]) -> dict[str, Any]:
    instants = {name: shown[name] and datetime.fromisoformat(shown[name]) for name in ("due_at", "ticking_changes_at")}
    return {name: shown[name] for name in SAID} | instants


async def _furnished(database: Make) -> Desk:
    desk = Desk(await database("sla"), await database("tickets"))
    cause = Cause(actor="bruno", occurred_at=at(0), recorded_at=at(0), correlation_id="request-1")
    platino = ContractRecord(id="acme-2026", client_id="acme", contract_type="platino", valid_from=at(-DAY))
    async with desk.sla.begin() as tx:
        await record_contracts(tx, cause, [platino])
    await desk.deliver()
    async with desk.tickets.begin() as tx:
        records = [one for one in tickets_desk.REFERENCE if type(one).__name__ not in _OF_SLA]
        await tickets_desk.deliver(tx, [tickets_desk.received(one) for one in records])
    return desk


_OF_SLA = ("ContractRecorded", "ContractTypeRecorded", "CalendarRecorded")


async def _switch(desk: Desk, seconds: float) -> None:
    await activate(desk.sla, week(EIGHT_TO_EIGHT), seconds)
    await switch_all(desk.sla, seconds)


async def _week(desk: Desk) -> list[tuple[float, Callable[[], Awaitable[Any]]]]:
    """What happens, and when."""
    plain, urgent, held, back, platino = [
        await desk.open(FRIDAY, client=client, severity=severity)
        for client, severity in ((None, 3), (None, 1), (None, 2), (None, 3), ("acme", 1))
    ]

    def happens(*events: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: tell(desk.sla, *events)

    return [
        (FRIDAY + 300, happens(held.held(FRIDAY + 300))),
        (FRIDAY + 2 * HOUR, happens(platino.responded(FRIDAY + 2 * HOUR))),
        (FRIDAY + DAY, happens(back.resolved(FRIDAY + DAY))),
        (FRIDAY + 4 * DAY + 17 * HOUR, happens(held.released(FRIDAY + 4 * DAY + 17 * HOUR))),
        (FRIDAY + 5 * DAY, happens(back.reopened(FRIDAY + 5 * DAY))),
        (FRIDAY + 5 * DAY + 20 * HOUR, lambda: _switch(desk, FRIDAY + 5 * DAY + 20 * HOUR)),
        (FRIDAY + 6 * DAY, happens(urgent.cancelled(FRIDAY + 6 * DAY), plain.responded(FRIDAY + 6 * DAY))),
    ]


async def test_list_view_and_sla_agree_at_every_edge_of_a_week_and_at_a_thousand_instants(database: Make) -> None:
    desk = await _furnished(database)
    happenings = await _week(desk)
    await desk.deliver()
    chance, turns = Random(12), cycle(desk.stories)
    asked = [(FRIDAY + chance.random() * (END - FRIDAY), False) for _ in range(INSTANTS)]
    heapq.heapify(asked)
    edges: set[int] = set()
    number, is_another = 0, True
    while asked:
        seconds, at_an_edge = heapq.heappop(asked)
        while happenings and happenings[0][0] <= seconds:
            await happenings.pop(0)[1]()
            await desk.deliver()
            is_another = True
        if is_another or at_an_edge:
            for edge in await _edges_ahead(desk, seconds) - edges:
                edges.add(edge)
                for step in (-1, 0, 0.000001, 1):
                    heapq.heappush(asked, (edge + step, True))
            is_another = False
        await desk.agree(at(seconds), desk.stories if at_an_edge else [next(turns)])
        number += 1
        if number % 50 == 0:
            # Sometimes the alarms have told what time did, and mostly they have not yet.
            await fire_all(desk.sla, seconds)
            await desk.deliver()
    assert len(edges) > 10
    assert happenings == []


async def _edges_ahead(desk: Desk, seconds: float) -> set[int]:
    """Where a clock's business opens or closes next, where it runs out and where it is missed, within the week."""
    found: set[datetime | None] = set()
    async with desk.sla.begin() as tx:
        for story in desk.stories:
            clocks = await get_ticket_clocks(tx, story.ticket_id, at(seconds))
            for one in clocks.clocks if clocks else ():
                found |= {one.ticking_changes_at, one.due_at, one.breaches_at}
    zero = second(at(0))
    ahead = {second(one) - zero for one in found if one is not None}
    return {one for one in ahead if seconds < one < END}
