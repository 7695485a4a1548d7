"""Reads the clocks of a ticket with their explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, second
from shared.clock_reading import ClockWord, read_clock
from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, Threshold
from shared.db.statement import query
from shared.db.transaction import Reader, Row
from sla.domain.clock import ENDED, Folded, Interval, Terms, Why
from sla.domain.explanation import Account, lines_of, told
from sla.domain.fold import fold
from sla.domain.ticket_clock import TicketClock
from sla.repository.clocks import CLOCKS_WITH_FACTS, with_facts
from sla.repository.known_calendars import know, zone_of


class IntervalView(BaseModel):
    """A stretch of a clock's life, and whether it counts."""

    from_at: datetime
    until: datetime | None = Field(description="null: it has not ended")
    seconds: int = Field(description="its length, up to now where it has not ended")
    counted: bool = Field(description="whether its open seconds count")
    counted_seconds: int = Field(description="how many of them there are")
    why: Why = Field(
        description="open: somebody works on it; held: see reason; resolved, cancelled: nothing left to do"
    )
    reason: str | None


class ThresholdView(Threshold):
    """A threshold of a clock, and whether it was reached."""

    reached_at: datetime | None = Field(description="null: not reached so far")


class CalendarView(BaseModel):
    """The version of a calendar in which a clock counts from an instant on."""

    from_at: datetime
    calendar_id: str
    calendar_version: int


class ClockView(BaseModel):
    """One clock at the instant `server_time`."""

    id: UUID
    kind: ClockKind
    cycle: int
    state: ClockWord = Field(description="in one word; `closed` runs, and counts again when business opens")
    course: ClockCourse = Field(description="whether seconds are being counted now, also after a breach")
    outcome: ClockOutcome = Field(description="`met` is provisional until the ticket can no longer be reopened")
    contract_id: str | None = Field(description="null: no contract was in force, the default targets apply")
    contract_version: int
    target_seconds: int
    counted_seconds: int = Field(description="the sum of the intervals that count")
    remaining_seconds: int = Field(description="of open time, negative when overdue")
    overdue_wall_seconds: int | None = Field(description="day and night since the breach, until it ended")
    ticking: bool = Field(description="whether seconds are counted at this moment")
    ticking_changes_at: datetime | None = Field(
        description="when business closes or opens next; null: never, or stands"
    )
    started_at: datetime
    due_at: datetime | None = Field(description="null while paused")
    breaches_at: datetime | None = Field(description="the first open second after the due, where it is missed")
    ended_at: datetime | None = Field(description="when it was stopped or cancelled")
    breached_at: datetime | None
    would_have_been_at: datetime | None = Field(description="of a breach that was found later than it lies")
    counted_in: list[CalendarView] = Field(description="the calendars in which it counts, one after the other")


class ExplainedClock(ClockView):
    """The same with how its seconds add up."""

    thresholds: list[ThresholdView] = Field(description="at which of its seconds the clock warns, ascending")
    intervals: list[IntervalView]


class LineView(BaseModel):
    """A stretch of a clock's life, all of it counted or none of it."""

    from_at: datetime
    until: datetime = Field(description="of the last one `server_time`, unless the clock has ended")
    seconds: int
    counted: bool
    why: Why | Literal["closed"] = Field(description="closed: business was; the others as in the intervals")
    reason: str | None


class Sentences(BaseModel):
    """The explanation as people read it, in the time of the calendar."""

    es: list[str]
    en: list[str]


class ClockExplanation(BaseModel):
    """How a clock came to where it stands: the lines that count add up to `counted_seconds`."""

    ticket_id: UUID
    server_time: datetime
    clock: ClockView
    lines: list[LineView]
    sentences: Sentences


class TicketClocks(BaseModel):
    """The clocks of one ticket, each with how its seconds add up."""

    ticket_id: UUID
    server_time: datetime
    clocks: list[ExplainedClock]


_CLOCKS = f"{CLOCKS_WITH_FACTS} WHERE c.ticket_id = :ticket"
_CLOCKS_OF_TICKET = query(f"{_CLOCKS} ORDER BY c.kind DESC, c.cycle")
_ONE_CLOCK = query(f"{_CLOCKS} AND c.id = :clock")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A clock as it stands at an instant, with its way and the hours in which it counts."""

    kept: TicketClock
    folded: Folded
    hours: OpenTime
    now: datetime


async def get_ticket_clocks(tx: Reader, ticket_id: UUID, now: datetime) -> TicketClocks | None:
    """The clocks of a ticket as they stand at `now`, folded from its facts; None when it has none."""
    found = await _seen(tx, await tx.fetch(_CLOCKS_OF_TICKET, {"ticket": ticket_id}), now)
    clocks = [
        ExplainedClock(
            **_shown(one).model_dump(),
            thresholds=_thresholds_view(one.kept.terms, one.folded),
            intervals=[_interval_view(interval, one) for interval in one.folded.intervals],
        )
        for one in found
    ]
    return TicketClocks(ticket_id=ticket_id, server_time=now, clocks=clocks) if clocks else None


async def explain_clock(tx: Reader, ticket_id: UUID, clock_id: UUID, now: datetime) -> ClockExplanation | None:
    """How a clock came to where it stands at `now`; None where the ticket has no such clock."""
    found = await _seen(tx, await tx.fetch(_ONE_CLOCK, {"ticket": ticket_id, "clock": clock_id}), now)
    if not found:
        return None
    one, view = found[0], _shown(found[0])
    lines = lines_of(one.folded.intervals, one.hours, now)
    account = Account(view.target_seconds, view.counted_seconds, view.due_at, view.breached_at, view.course)
    written = await zone_of(tx, one.folded.clock.counted_in[-1].calendar)
    return ClockExplanation(
        ticket_id=ticket_id,
        server_time=now,
        clock=view,
        lines=[LineView(**asdict(line)) for line in lines],
        sentences=Sentences(es=told(lines, account, written, "es"), en=told(lines, account, written, "en")),
    )


async def _seen(tx: Reader, rows: Sequence[Row], now: datetime) -> list[_Seen]:
    kept = [with_facts(row) for row in rows]
    calendars = await know(tx, {name for one in kept for name in one.names()})
    found = []
    for clock, facts in ((one.clock, one.facts) for one in kept):
        folded = fold(clock.terms, facts, calendars, now)
        if folded is not None:
            found.append(_Seen(clock, folded, calendars.hours(folded.clock.counted_in), now))
    return found


def _shown(one: _Seen) -> ClockView:
    kept, clock = one.kept, one.folded.clock
    reading = read_clock(kept.state_of(clock), one.hours, one.now)
    return ClockView(
        **asdict(reading),
        id=kept.id,
        kind=kept.kind,
        cycle=kept.cycle,
        course=clock.course,
        outcome=clock.outcome,
        contract_id=kept.contract_id,
        contract_version=kept.contract_version,
        target_seconds=kept.terms.target_seconds,
        counted_seconds=kept.terms.target_seconds - reading.remaining_seconds,
        started_at=clock.started_at,
        due_at=clock.due_at,
        ended_at=clock.since if clock.course in ENDED else None,
        breached_at=clock.breached_at,
        would_have_been_at=clock.would_have_been_at,
        counted_in=[
            CalendarView(from_at=at, calendar_id=calendar.calendar_id, calendar_version=calendar.version)
            for at, calendar in clock.counted_in
        ],
    )


def _thresholds_view(terms: Terms, folded: Folded) -> list[ThresholdView]:
    reached_at = {crossing.threshold: crossing.at for crossing in folded.crossings}
    return [ThresholdView(**one.model_dump(), reached_at=reached_at.get(one)) for one in terms.thresholds]


def _interval_view(interval: Interval, seen: _Seen) -> IntervalView:
    # Edges of intervals are whole seconds; what has begun of the present one counts, as it does in the clock.
    start, end = second(interval.from_at), begun_second(interval.until or max(interval.from_at, seen.now))
    return IntervalView(
        from_at=interval.from_at,
        until=interval.until,
        seconds=end - start,
        counted=interval.counted,
        counted_seconds=seen.hours.between(start, end) if interval.counted else 0,
        why=interval.why,
        reason=interval.reason,
    )
