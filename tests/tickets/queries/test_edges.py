"""List and view show what the calendars say, at every edge of a week and at any instant, asked with the same now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from typing import Any
from uuid import UUID

from shared.business_time.calendar import read_calendar
from shared.business_time.index import Index
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import instant, second
from shared.business_time.timeline import Timeline
from shared.clock_reading import read_clock
from shared.contracts.calendars import WrittenWeek
from shared.contracts.sla import CalendarRecorded, ClockState, CountedIn, SlaClockBreached, SlaClockStarted
from shared.db.transaction import Transaction
from shared.instants import STEP
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import ALWAYS, HOLIDAYS, NOW, WEEKDAYS, calendar, deliver, open_one, received
from tickets.queries import tickets
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import list_tickets
from tickets.queries.tickets import view_ticket

# A Friday, ten minutes before Comercial closes, in front of a Monday that is a holiday; and the week from there.
FRIDAY = datetime(2026, 11, 20, 20, 50, tzinfo=UTC)
WEEK = (FRIDAY - timedelta(hours=1), FRIDAY + timedelta(days=7))
SWITCHED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NIGHT = WrittenWeek(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), (("22:00", "06:00"),)))
EARLY = WrittenWeek(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat"), (("08:00", "13:00"),)))
SHOWN = ("state", "remaining_seconds", "overdue_wall_seconds", "ticking", "ticking_changes_at")
CALENDARS: dict[tuple[str, int], CalendarRecorded] = {
    (one.calendar_id, one.version): one
    for one in (
        calendar("24x7", weekly=ALWAYS),
        calendar("comercial", weekly=WEEKDAYS, holidays=HOLIDAYS),
        calendar("edges-night", weekly=NIGHT, holidays=HOLIDAYS),
        calendar("edges-madrid", timezone="Europe/Madrid", weekly=WEEKDAYS),
        calendar("edges-madrid", 2, timezone="Europe/Madrid", weekly=EARLY, effective_from=SWITCHED),
    )
}
INDICES = {name: Index(read_calendar(one.calendar)) for name, one in CALENDARS.items()}


@dataclass(frozen=True)
class Timed:
    """A ticket with one clock, and what it counts in."""

    ticket_id: UUID
    clock: ClockState
    hours: OpenTime


def hours_of(counted_in: Sequence[CountedIn]) -> OpenTime:
    """The same calendars, built here."""
    pieces = [(second(one.from_at), INDICES[one.calendar_id, one.calendar_version]) for one in counted_in]
    return Timeline(pieces)


# What each counts in, and how long it has.
COUNTING: tuple[tuple[tuple[CountedIn, ...], int], ...] = (
    (told.counted_in("24x7", from_at=FRIDAY), 5 * 3600),
    (told.counted_in("comercial", from_at=FRIDAY), 600),
    (told.counted_in("comercial", from_at=FRIDAY), 16 * 3600),
    (told.counted_in("edges-night", from_at=FRIDAY), 20 * 3600),
    (
        (
            *told.counted_in("edges-madrid", from_at=FRIDAY),
            *told.counted_in("edges-madrid", 2, SWITCHED),
        ),
        20 * 3600,
    ),
)
# How each of them stands: it runs, it rests, it was done in time, it ended.
STANDING: tuple[dict[str, Any], ...] = (
    {},
    {"course": "paused", "elapsed_seconds": 300, "due_at": None, "pause_reason": "waiting-for-client"},
    {"course": "stopped", "outcome": "met", "elapsed_seconds": 300},
    {"course": "cancelled", "elapsed_seconds": 300},
)


async def furnished(desk: Database) -> list[Timed]:
    """A ticket of each kind, whose clock began on that Friday."""
    found: list[Timed] = []
    async with desk.begin() as tx:
        await deliver(tx, [received(one) for one in CALENDARS.values()])
    for counted_in, target in COUNTING:
        for standing in STANDING:
            ticket_id, hours = (await open_one(desk, FRIDAY)).ticket.id, hours_of(counted_in)
            due_at = instant(hours.add(second(FRIDAY), target))
            given: dict[str, Any] = {
                "target_seconds": target, "started_at": FRIDAY, "since": FRIDAY, "due_at": due_at,
                "counted_in": counted_in,
            }  # fmt: skip
            clock = told.clock(UUID(int=1000 + len(found)), kind="resolution", **(given | standing))
            async with desk.begin() as tx:
                await deliver(tx, [told.of_clock(SlaClockStarted, ticket_id, 1, clock, FRIDAY)])
            found.append(Timed(ticket_id, clock, hours))
    return found


def edges(timed: Sequence[Timed]) -> list[datetime]:
    """Every instant of the week at which a calendar opens or closes, a clock runs out or is missed; and around it."""
    start, end = second(WEEK[0]), second(WEEK[1])
    found = {second(SWITCHED)}
    for one in timed:
        found |= {edge.start for edge in one.hours.stretches(start, end)}
        if one.clock.due_at is not None:
            found |= {second(one.clock.due_at), one.hours.next_open(second(one.clock.due_at)) or start}
    around = (timedelta(seconds=-1), -STEP, timedelta(), STEP, timedelta(seconds=1))
    return sorted({instant(edge) + step for edge in found for step in around})


def expected(one: Timed, now: datetime) -> dict[str, Any]:
    """What the kernel says of a clock, from the event alone."""
    read = read_clock(one.clock, one.hours, now)
    changes = read.ticking_changes_at
    return {name: getattr(read, name) for name in SHOWN} | {
        "ticking_changes_at": changes.isoformat() if changes else None
    }


async def list_agrees(tx: Transaction, timed: Sequence[Timed], now: datetime) -> None:
    """The list says what the kernel says at an instant."""
    page = await list_tickets(tx, TicketFilter(), sort="due", after=None, limit=100, now=now)
    rows = {row["id"]: row for row in (json.loads(each[-1]) for each in page)}
    for one in timed:
        said, row = expected(one, now), rows[str(one.ticket_id)]
        assert {name: row["resolution"][name] for name in SHOWN} == said, (one.clock, now)
        runs = one.clock.course == "running"
        assert (row["next_due"] and {name: row["next_due"][name] for name in SHOWN}) == (said if runs else None)


async def view_agrees(tx: Transaction, viewed: Timed, now: datetime) -> None:
    """The view says what the kernel says at an instant."""
    _, written = await view_ticket(tx, viewed.ticket_id, now, ())
    whole = json.loads(written)
    (shown,) = whole["clocks"]
    assert {name: shown[name] for name in SHOWN} == expected(viewed, now), (viewed.clock, now)
    assert datetime.fromisoformat(whole["server_time"]) == now


async def test_list_view_and_kernel_agree_at_every_edge_of_a_week_and_at_any_instant(desk: Database) -> None:
    timed = await furnished(desk)
    chance, turns = Random(12), cycle(timed)
    length = (WEEK[1] - WEEK[0]) / STEP
    others = [WEEK[0] + STEP * chance.randrange(int(length)) for _ in range(1000)]
    at_edges = edges(timed)
    assert len(at_edges) > 100
    async with desk.begin() as tx:
        for now in at_edges:
            await list_agrees(tx, timed, now)
            for viewed in timed:
                await view_agrees(tx, viewed, now)
        for now in others:
            await list_agrees(tx, timed, now)
            await view_agrees(tx, next(turns), now)


async def shown_at(desk: Database, one: Timed, now: datetime) -> dict[str, Any]:
    """Its clock in the view."""
    async with desk.begin() as tx:
        _, written = await tickets.view_ticket(tx, one.ticket_id, now, ())
    (found,) = json.loads(written)["clocks"]
    return {name: found[name] for name in SHOWN}


async def test_over_a_weekend_and_a_holiday_a_clock_says_until_when_business_is_closed(desk: Database) -> None:
    """The decisions by hand: two minutes before closing, the evening, the holiday, the first second of Tuesday."""
    timed = await furnished(desk)
    (short,) = [one for one in timed if (one.clock.target_seconds, one.clock.course) == (600, "running")]
    (long,) = [
        one for one in timed
        if one.clock.counted_in[0].calendar_id == "comercial" and one.clock.target_seconds == 16 * 3600
        and one.clock.course == "running"
    ]  # fmt: skip
    tuesday = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    at_closing, opens = {"state": "running", "remaining_seconds": 120}, "2026-11-24T12:00:00+00:00"
    before = {"overdue_wall_seconds": None, "ticking": True, "ticking_changes_at": "2026-11-20T21:00:00+00:00"}
    assert await shown_at(desk, short, FRIDAY + timedelta(minutes=8)) == at_closing | before
    closed = {"state": "closed", "overdue_wall_seconds": None, "ticking": False, "ticking_changes_at": opens}
    # It ran out at closing: nothing is left, and nothing is missed until a second of Tuesday has begun.
    for now in (FRIDAY + timedelta(minutes=10), FRIDAY + timedelta(days=2), tuesday - STEP):
        assert await shown_at(desk, short, now) == closed | {"remaining_seconds": 0}
        assert await shown_at(desk, long, now) == closed | {"remaining_seconds": 16 * 3600 - 600}
    missed = await shown_at(desk, short, tuesday + timedelta(seconds=1))
    assert missed == {
        "state": "breached", "remaining_seconds": -1, "overdue_wall_seconds": 1, "ticking": True,
        "ticking_changes_at": "2026-11-24T21:00:00+00:00",
    }  # fmt: skip
    # On Wednesday morning a working day is overdue, and a day and a night.
    late = await shown_at(desk, short, datetime(2026, 11, 25, 12, 0, tzinfo=UTC))
    assert (late["remaining_seconds"], late["overdue_wall_seconds"]) == (-9 * 3600, 24 * 3600)


async def test_while_its_calendar_has_not_come_nobody_guesses_what_is_left_of_a_clock(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    state = told.clock(counted_in=told.counted_in("edges-late"))
    paused = told.clock(told.RESPONSE, course="paused", elapsed_seconds=600, due_at=None, counted_in=state.counted_in)
    async with desk.begin() as tx:
        await deliver(tx, [told.of_clock(SlaClockStarted, ticket_id, n, one, NOW) for n, one in
                           enumerate((state, paused), start=1)])  # fmt: skip
    for is_known in (False, True):
        async with desk.begin() as tx:
            _, written = await view_ticket(tx, ticket_id, told.later(10), ())
        clocks = {one["kind"]: one for one in json.loads(written)["clocks"]}
        running = {name: clocks["resolution"][name] for name in SHOWN}
        assert running == dict.fromkeys(SHOWN) | (
            {"state": "running", "remaining_seconds": 24 * 3600 - 601, "ticking": True} if is_known
            else {"state": "running"}
        )  # fmt: skip
        # What rests is read without one.
        assert (clocks["response"]["state"], clocks["response"]["remaining_seconds"]) == ("paused", 24 * 3600 - 600)
        async with desk.begin() as tx:
            await deliver(tx, [received(calendar("edges-late", weekly=ALWAYS))])


async def test_a_breach_that_was_told_is_shown_as_one_while_its_calendar_has_not_come(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    state = told.clock(
        outcome="breached",
        breached_at=told.later(10),
        counted_in=told.counted_in("edges-unheard"),
        due_at=told.later(9),
    )
    async with desk.begin() as tx:
        await deliver(tx, [told.of_clock(SlaClockBreached, ticket_id, 1, state, NOW)])
        _, written = await view_ticket(tx, ticket_id, told.later(20), ())
    (shown,) = json.loads(written)["clocks"]
    assert {name: shown[name] for name in SHOWN} == dict.fromkeys(SHOWN) | {"state": "breached"}


async def test_a_row_calls_a_clock_breached_as_soon_as_it_shows_it_so(desk: Database) -> None:
    """Which may be before its owner has told it."""
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, [told.of_clock(SlaClockStarted, ticket_id, 1, told.clock(), NOW)])
        for minutes, is_breached in ((24 * 60 - 1, False), (24 * 60 + 1, True)):
            now = told.later(minutes)
            ((*_, written),) = await list_tickets(tx, TicketFilter(), sort="due", after=None, limit=9, now=now)
            row = json.loads(written)
            for shown in (row["resolution"], row["next_due"]):
                assert (shown["state"], shown["breached"]) == ("breached" if is_breached else "running", is_breached)
