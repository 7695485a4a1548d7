"""The clock: the facts that it is folded from, what it is measured against, where it stands, and what time does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Literal, get_args
from uuid import UUID

from shared.business_time.known import CalendarName, In
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, instant, second
from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, Threshold

Why = Literal["open", "held", "resolved", "cancelled"]

CLOCK_KINDS: tuple[ClockKind, ...] = get_args(ClockKind)


class FactKind(StrEnum):
    """What can happen to a clock."""

    START = "start"
    REOPEN = "reopen"
    RESUME = "resume"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"
    SWITCH = "switch"


# Facts of the same instant in this order. A retarget will stand between resume and pause. A switch of the calendar is
# no step of the course: it says in what the clock counts.
_RANK = {
    FactKind.START: 0,
    FactKind.REOPEN: 1,
    FactKind.RESUME: 2,
    FactKind.PAUSE: 4,
    FactKind.STOP: 5,
    FactKind.CANCEL: 6,
    FactKind.SWITCH: 7,
}
# In these a clock stands for good, unless the ticket is reopened.
ENDED: frozenset[ClockCourse] = frozenset({"stopped", "cancelled"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a ticket's life as its clocks see it.

    `fact_id` is the id of the event that told it, `sequence` that event's position at its owner. `concerns` names the
    one clock that it is about, None means every clock of the ticket. `reason` belongs to a pause, and is whatever code
    tickets told. `calendar_version` belongs to a switch: from `occurred_at` on the clock counts in that version of its
    calendar, which was not known before `told_at`.
    """

    fact_id: UUID
    kind: FactKind
    occurred_at: datetime
    sequence: int
    concerns: ClockKind | None = None
    reason: str | None = None
    calendar_version: int | None = None
    told_at: datetime | None = None

    def order(self) -> tuple[datetime, int, int, int]:
        """The place in the course: by instant, then by rank of the kind, then by sequence."""
        return (self.occurred_at, _RANK[self.kind], self.sequence, self.fact_id.int)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one clock measures against, pinned when it starts. `thresholds` ascend; several may lie on one second.

    The target is in open seconds of `calendar`, and of the versions of it to which the clock is switched.
    """

    kind: ClockKind
    target_seconds: int
    pausing_holds: frozenset[str]
    thresholds: tuple[Threshold, ...]
    calendar: CalendarName


@dataclass(frozen=True, slots=True)
class Clock:
    """What the facts add up to.

    `counted_seconds` is the sum up to `since`, when the present course began; while it runs, every open second after
    `since` counts. `due_at` is when the target runs out, None while it is paused. `breached_at` is the first second
    that was too much, known only once it was counted; what was learnt later than that dates the breach when it was
    learnt, and `would_have_been_at` says where it would lie. `warned_seconds` are those of the furthest threshold that
    was reached, 0 for none. `counted_in` are the calendars that count, one after the other.
    """

    course: ClockCourse
    started_at: datetime
    since: datetime
    counted_seconds: int
    due_at: datetime | None
    hold: str | None
    breached_at: datetime | None
    warned_seconds: int
    would_have_been_at: datetime | None
    counted_in: tuple[In, ...]

    @property
    def outcome(self) -> ClockOutcome:
        """Missed once more than the target was counted, kept once it stopped before."""
        if self.breached_at is not None:
            return "breached"
        return "met" if self.course == "stopped" else "pending"

    def elapsed_seconds(self, hours: OpenTime, at: datetime) -> int:
        """Seconds counted up to `at`; a second that has begun counts."""
        if self.course != "running":
            return self.counted_seconds
        return self.counted_seconds + max(0, hours.between(second(self.since), begun_second(at)))

    def breaches_at(self, hours: OpenTime) -> datetime | None:
        """Where a running clock is missed: the first open second after its due. None where it is or cannot be."""
        if self.course != "running" or self.breached_at is not None or self.due_at is None:
            return None
        # What was used up before a hold is missed by the first second that counts after it.
        missed = hours.next_open(max(second(self.due_at), second(self.since)))
        return None if missed is None else instant(missed)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of a clock's life: counted or not, and why. `until` is None for the stretch that has not ended."""

    from_at: datetime
    until: datetime | None
    counted: bool
    why: Why
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold, and the instant at which it was or will be reached."""

    threshold: Threshold
    at: datetime


@dataclass(frozen=True, slots=True)
class Folded:
    """A clock with the way that led there, so that it can explain itself. `by` is what began its present course."""

    clock: Clock
    by: FactKind
    intervals: tuple[Interval, ...]
    crossings: tuple[Crossing, ...]


def share(percent: int, target_seconds: int) -> Threshold:
    """The first whole second at which at least `percent` of the target is used up."""
    return Threshold(seconds=-(-target_seconds * percent // 100), said_as=f"{percent}%")


def advance(clock: Clock, terms: Terms, hours: OpenTime, now: datetime) -> Clock:
    """The same clock when no fact came until `now`: thresholds may be reached, the target may have run out.

    A target is missed when more seconds than it has were counted: until the first of them it still holds.
    """
    return advanced(clock, reached(clock, terms, hours, now), hours, now)


def advanced(clock: Clock, crossed: Sequence[Crossing], hours: OpenTime, now: datetime) -> Clock:
    """The same where what it reaches until `now` is known."""
    warned = max((crossing.threshold.seconds for crossing in crossed), default=clock.warned_seconds)
    breaches_at = clock.breaches_at(hours)
    missed = breaches_at is not None and now > breaches_at
    return replace(clock, warned_seconds=warned, breached_at=breaches_at if missed else clock.breached_at)


def reached(clock: Clock, terms: Terms, hours: OpenTime, now: datetime) -> tuple[Crossing, ...]:
    """The thresholds that this clock reaches until `now` and had not reached before."""
    return tuple(takewhile(lambda crossing: crossing.at <= now, ahead(clock, terms, hours)))


def ahead(clock: Clock, terms: Terms, hours: OpenTime) -> Iterator[Crossing]:
    """The thresholds still ahead of a running clock with their instants, the earliest first; none when it stands."""
    if clock.course != "running":
        return
    since = second(clock.since)
    for threshold in terms.thresholds:
        if threshold.seconds > clock.warned_seconds:
            yield Crossing(threshold, instant(hours.add(since, threshold.seconds - clock.counted_seconds)))
