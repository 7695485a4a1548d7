"""The clock: a pure fold over facts that may come late, twice and out of order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, get_args
from uuid import UUID

from shared.business_time.known import CalendarName, In, KnownCalendars
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


def fold(
    terms: Terms, facts: Iterable[Fact], calendars: KnownCalendars, judged_until: datetime | None = None
) -> Folded | None:
    """One clock with its way; None while its start is not known.

    The order of `facts` and repeated fact ids make no difference. Facts before the start count as if they came with it.
    Time by itself is judged up to the last fact and up to `judged_until`, never up to a present that nobody gave.
    A fact that makes no difference judges it too: else an earlier one, told later, could take back what time had done.
    """
    mine = sorted(_once(terms, facts), key=Fact.order)
    course = [fact for fact in mine if fact.kind is not FactKind.SWITCH]
    start = next((fact for fact in course if fact.kind is FactKind.START), None)
    if start is None:
        return None
    last = course[-1].occurred_at
    until = last if judged_until is None else max(last, judged_until)
    switches = [fact for fact in mine if fact.kind is FactKind.SWITCH]
    *before, folded = (
        _folded(terms, course, start, calendars, known, until if to is None else min(to, until))
        for known, to in _stages(switches)
    )
    return replace(folded, clock=_as_it_was_learnt(folded.clock, [one.clock for one in before], switches))


def _folded(
    terms: Terms,
    course: Sequence[Fact],
    start: Fact,
    calendars: KnownCalendars,
    switches: Sequence[Fact],
    until: datetime,
) -> Folded:
    """The clock by what was known at one time of its calendars."""
    counted_in = _counted_in(terms, start, switches)
    walk = _Walk(terms, calendars.hours(counted_in), counted_in, second(start.occurred_at))
    for fact in course:
        walk.take(fact)
    clock = walk.clock()
    crossings = (*walk.crossings, *reached(clock, terms, walk.hours, until))
    return Folded(advance(clock, terms, walk.hours, until), walk.by, walk.intervals(), crossings)


def _counted_in(terms: Terms, start: Fact, switches: Sequence[Fact]) -> tuple[In, ...]:
    """The calendars that count from the start on, each from its instant."""
    found = {second(start.occurred_at): terms.calendar.version}
    for fact in sorted(switches, key=lambda fact: (fact.occurred_at, fact.calendar_version or 0)):
        found[max(second(start.occurred_at), second(fact.occurred_at))] = fact.calendar_version or 0
    return tuple(
        In(instant(at), CalendarName(terms.calendar.calendar_id, version)) for at, version in sorted(found.items())
    )


def _stages(switches: Sequence[Fact]) -> list[tuple[list[Fact], datetime | None]]:
    """What was known of the calendars, and until when: a new stage begins with each switch that was told late."""
    late = sorted((fact for fact in switches if _told_late(fact)), key=lambda fact: (fact.told_at, fact.order()))
    in_time = [fact for fact in switches if not _told_late(fact)]
    ends = [*(fact.told_at for fact in late), None]
    return [([*in_time, *late[:known]], until) for known, until in enumerate(ends)]


def _told_late(fact: Fact) -> bool:
    return fact.told_at is not None and fact.told_at > fact.occurred_at


def _as_it_was_learnt(clock: Clock, before: Sequence[Clock], switches: Sequence[Fact]) -> Clock:
    """The breach as it was first known. One that only a switch told late has made is dated when that was told."""
    late = sorted(fact.told_at for fact in switches if fact.told_at is not None and _told_late(fact))
    for stage, learnt in zip([*before, clock], [None, *late], strict=True):
        if stage.breached_at is None:
            continue
        if learnt is None or learnt <= stage.breached_at:
            return replace(clock, breached_at=stage.breached_at)
        return replace(clock, breached_at=instant(second(learnt)), would_have_been_at=stage.breached_at)
    return clock


def advance(clock: Clock, terms: Terms, hours: OpenTime, now: datetime) -> Clock:
    """The same clock when no fact came until `now`: thresholds may be reached, the target may have run out.

    A target is missed when more seconds than it has were counted: until the first of them it still holds.
    """
    crossed = reached(clock, terms, hours, now)
    warned = max((crossing.threshold.seconds for crossing in crossed), default=clock.warned_seconds)
    breaches_at = clock.breaches_at(hours)
    missed = breaches_at is not None and now > breaches_at
    return replace(clock, warned_seconds=warned, breached_at=breaches_at if missed else clock.breached_at)


def reached(clock: Clock, terms: Terms, hours: OpenTime, now: datetime) -> tuple[Crossing, ...]:
    """The thresholds that this clock reaches until `now` and had not reached before."""
    return tuple(crossing for crossing in ahead(clock, terms, hours) if crossing.at <= now)


def ahead(clock: Clock, terms: Terms, hours: OpenTime) -> tuple[Crossing, ...]:
    """The thresholds still ahead of a running clock with their instants, the earliest first; none when it stands."""
    if clock.course != "running":
        return ()
    since = second(clock.since)
    return tuple(
        Crossing(threshold, instant(hours.add(since, threshold.seconds - clock.counted_seconds)))
        for threshold in terms.thresholds
        if threshold.seconds > clock.warned_seconds
    )


def first_state(terms: Terms, clock: Clock, hours: OpenTime) -> Clock:
    """The same clock at the second of its start, before anything else happened."""
    return _Walk(terms, hours, clock.counted_in, second(clock.started_at)).clock()


class _Walk:
    """One pass over the ordered facts, in whole seconds since the epoch."""

    def __init__(self, terms: Terms, hours: OpenTime, counted_in: tuple[In, ...], start: int) -> None:
        self.terms = terms
        self.hours = hours
        self.counted_in = counted_in
        self.start = self.since = self.at = start
        self.course: ClockCourse = "running"
        self.hold: str | None = None
        self.by = FactKind.START
        self.counted = 0
        self.used_up: int | None = None
        self.breached: int | None = None
        self.crossings: list[Crossing] = []
        self._intervals: list[Interval] = []
        self._ahead = list(terms.thresholds)

    def take(self, fact: Fact) -> None:
        """Applies one fact; one that makes no difference in the present course is passed over."""
        then = self._after_fact(fact)
        if then == (self.course, self.hold):
            return
        self._close_interval(max(self.at, begun_second(fact.occurred_at)))
        # A hold that does not pause is an interval of its own, for the explanation, and the same course.
        if (self.course, then[0]) != ("running", "running"):
            self._close_course()
            self.by = fact.kind
        self.course, self.hold = then

    def clock(self) -> Clock:
        return Clock(
            course=self.course,
            started_at=instant(self.start),
            since=instant(self.since),
            counted_seconds=self.counted,
            due_at=None if self.course == "paused" else instant(self._due()),
            hold=self.hold,
            breached_at=None if self.breached is None else instant(self.breached),
            warned_seconds=max((crossing.threshold.seconds for crossing in self.crossings), default=0),
            would_have_been_at=None,
            counted_in=self.counted_in,
        )

    def intervals(self) -> tuple[Interval, ...]:
        return (*self._intervals, self._interval(None))

    def _due(self) -> int:
        """Where the target ran out, or will when it goes on from here."""
        if self.used_up is not None:
            return self.used_up
        return self.hours.add(self.since, self.terms.target_seconds - self.counted)

    def _after_fact(self, fact: Fact) -> tuple[ClockCourse, str | None]:
        if self.course in ENDED:
            return ("running", None) if fact.kind is FactKind.REOPEN else (self.course, self.hold)
        match fact.kind:
            case FactKind.PAUSE:
                return ("paused" if fact.reason in self.terms.pausing_holds else "running", fact.reason)
            case FactKind.RESUME:
                return ("running", None)
            case FactKind.STOP:
                return ("stopped", None)
            case FactKind.CANCEL:
                return ("cancelled", None)
            case _:
                return (self.course, self.hold)

    def _close_interval(self, to: int) -> None:
        if to > self.at:
            self._intervals.append(self._interval(to))
            self.at = to

    def _close_course(self) -> None:
        if self.course == "running":
            self._count()
        self.since = self.at

    def _count(self) -> None:
        total = self.counted + self.hours.between(self.since, self.at)
        while self._ahead and total >= self._ahead[0].seconds:
            threshold = self._ahead.pop(0)
            self.crossings.append(Crossing(threshold, instant(self._when(threshold.seconds))))
        if self.used_up is None and total >= self.terms.target_seconds:
            self.used_up = self._when(self.terms.target_seconds)
        if self.breached is None and self.used_up is not None and total > self.terms.target_seconds:
            self.breached = self.hours.next_open(max(self.used_up, self.since))
        self.counted = total

    def _when(self, seconds: int) -> int:
        """When so many will have been counted, in the stretch that began at `since`."""
        return self.hours.add(self.since, seconds - self.counted)

    def _interval(self, to: int | None) -> Interval:
        why: Why = "held" if self.hold is not None else "open"
        if self.course in ENDED:
            why = "resolved" if self.course == "stopped" else "cancelled"
        until = None if to is None else instant(to)
        return Interval(instant(self.at), until, self.course == "running", why, self.hold)


def _once(terms: Terms, facts: Iterable[Fact]) -> Iterable[Fact]:
    return {fact.fact_id: fact for fact in facts if fact.concerns in (None, terms.kind)}.values()
