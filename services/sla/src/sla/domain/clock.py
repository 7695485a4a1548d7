"""The clock: a pure fold over facts that may come late, twice and out of order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal, get_args
from uuid import UUID

from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, Threshold

Why = Literal["open", "held", "resolved", "cancelled"]

CLOCK_KINDS: tuple[ClockKind, ...] = get_args(ClockKind)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


class FactKind(StrEnum):
    """What can happen to a clock."""

    START = "start"
    REOPEN = "reopen"
    RESUME = "resume"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"


# Facts of the same instant in this order. A retarget will stand between resume and pause.
_RANK = {
    FactKind.START: 0,
    FactKind.REOPEN: 1,
    FactKind.RESUME: 2,
    FactKind.PAUSE: 4,
    FactKind.STOP: 5,
    FactKind.CANCEL: 6,
}
# In these a clock stands for good, unless the ticket is reopened.
ENDED: frozenset[ClockCourse] = frozenset({"stopped", "cancelled"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a ticket's life as its clocks see it.

    `fact_id` is the id of the event that told it, `sequence` that event's position at its owner. `concerns` names the
    one clock that it is about, None means every clock of the ticket. `reason` belongs to a pause, and is whatever code
    tickets told.
    """

    fact_id: UUID
    kind: FactKind
    occurred_at: datetime
    sequence: int
    concerns: ClockKind | None = None
    reason: str | None = None

    def order(self) -> tuple[datetime, int, int, int]:
        """The place in the course: by instant, then by rank of the kind, then by sequence."""
        return (self.occurred_at, _RANK[self.kind], self.sequence, self.fact_id.int)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one clock measures against, pinned when it starts. `thresholds` ascend; several may lie on one second."""

    kind: ClockKind
    target_seconds: int
    pausing_holds: frozenset[str]
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """What the facts add up to.

    `counted_seconds` is the sum up to `since`, when the present course began; while it runs, everything after `since`
    counts. `due_at` is None while it is paused. `breached_at` is the instant at which the target had run out, known
    only once more than the target was counted. `warned_seconds` are those of the furthest threshold that was reached, 0
    for none.
    """

    course: ClockCourse
    started_at: datetime
    since: datetime
    counted_seconds: int
    due_at: datetime | None
    hold: str | None
    breached_at: datetime | None
    warned_seconds: int

    @property
    def outcome(self) -> ClockOutcome:
        """Missed once more than the target was counted, kept once it stopped before."""
        if self.breached_at is not None:
            return "breached"
        return "met" if self.course == "stopped" else "pending"

    def elapsed_seconds(self, at: datetime) -> int:
        """Seconds counted up to `at`; a second that has begun counts."""
        if self.course != "running":
            return self.counted_seconds
        return self.counted_seconds + max(0, _between(_second(self.since), _begun_second(at)))


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


def fold(terms: Terms, facts: Iterable[Fact], judged_until: datetime | None = None) -> Folded | None:
    """One clock with its way; None while its start is not known.

    The order of `facts` and repeated fact ids make no difference. Facts before the start count as if they came with it.
    Time by itself is judged up to the last fact and up to `judged_until`, never up to a present that nobody gave.
    A fact that makes no difference judges it too: else an earlier one, told later, could take back what time had done.
    """
    mine = sorted(_once(terms, facts), key=Fact.order)
    start = next((fact for fact in mine if fact.kind is FactKind.START), None)
    if start is None:
        return None
    walk = _Walk(terms, _second(start.occurred_at))
    for fact in mine:
        walk.take(fact)
    clock, last = walk.clock(), mine[-1].occurred_at
    until = last if judged_until is None else max(last, judged_until)
    crossings = (*walk.crossings, *reached(clock, terms, until))
    return Folded(advance(clock, terms, until), walk.by, walk.intervals(), crossings)


def advance(clock: Clock, terms: Terms, now: datetime) -> Clock:
    """The same clock when no fact came until `now`: thresholds may be reached, the target may have run out.

    A target is missed when more seconds than it has were counted: at the due itself it still holds.
    """
    warned = max((crossing.threshold.seconds for crossing in reached(clock, terms, now)), default=clock.warned_seconds)
    missed = clock.breached_at is None and clock.due_at is not None and clock.course == "running" and now > clock.due_at
    return replace(clock, warned_seconds=warned, breached_at=clock.due_at if missed else clock.breached_at)


def reached(clock: Clock, terms: Terms, now: datetime) -> tuple[Crossing, ...]:
    """The thresholds that this clock reaches until `now` and had not reached before."""
    return tuple(crossing for crossing in ahead(clock, terms) if crossing.at <= now)


def ahead(clock: Clock, terms: Terms) -> tuple[Crossing, ...]:
    """The thresholds still ahead of a running clock with their instants, the earliest first; none when it stands."""
    if clock.course != "running":
        return ()
    since = _second(clock.since)
    return tuple(
        Crossing(threshold, _instant(_after(since, threshold.seconds - clock.counted_seconds)))
        for threshold in terms.thresholds
        if threshold.seconds > clock.warned_seconds
    )


def first_state(terms: Terms, started_at: datetime) -> Clock:
    """A clock at the second of its start, before anything else happened."""
    return _Walk(terms, _second(started_at)).clock()


class _Walk:
    """One pass over the ordered facts, in whole seconds since the epoch."""

    def __init__(self, terms: Terms, start: int) -> None:
        self.terms = terms
        self.start = self.since = self.at = start
        self.course: ClockCourse = "running"
        self.hold: str | None = None
        self.by = FactKind.START
        self.counted = 0
        self.breached: int | None = None
        self.crossings: list[Crossing] = []
        self._intervals: list[Interval] = []
        self._ahead = list(terms.thresholds)

    def take(self, fact: Fact) -> None:
        """Applies one fact; one that makes no difference in the present course is passed over."""
        then = self._after_fact(fact)
        if then == (self.course, self.hold):
            return
        self._close_interval(max(self.at, _begun_second(fact.occurred_at)))
        # A hold that does not pause is an interval of its own, for the explanation, and the same course.
        if (self.course, then[0]) != ("running", "running"):
            self._close_course()
            self.by = fact.kind
        self.course, self.hold = then

    def clock(self) -> Clock:
        left = self.terms.target_seconds - self.counted
        return Clock(
            course=self.course,
            started_at=_instant(self.start),
            since=_instant(self.since),
            counted_seconds=self.counted,
            due_at=None if self.course == "paused" else _instant(_after(self.since, left)),
            hold=self.hold,
            breached_at=None if self.breached is None else _instant(self.breached),
            warned_seconds=max((crossing.threshold.seconds for crossing in self.crossings), default=0),
        )

    def intervals(self) -> tuple[Interval, ...]:
        return (*self._intervals, self._interval(None))

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
            case FactKind.START | FactKind.REOPEN:
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
        total = self.counted + _between(self.since, self.at)
        while self._ahead and total >= self._ahead[0].seconds:
            threshold = self._ahead.pop(0)
            self.crossings.append(Crossing(threshold, _instant(_after(self.since, threshold.seconds - self.counted))))
        if self.breached is None and total > self.terms.target_seconds:
            self.breached = _after(self.since, self.terms.target_seconds - self.counted)
        self.counted = total

    def _interval(self, to: int | None) -> Interval:
        why: Why = "held" if self.hold is not None else "open"
        if self.course in ENDED:
            why = "resolved" if self.course == "stopped" else "cancelled"
        until = None if to is None else _instant(to)
        return Interval(_instant(self.at), until, self.course == "running", why, self.hold)


def _once(terms: Terms, facts: Iterable[Fact]) -> Iterable[Fact]:
    return {fact.fact_id: fact for fact in facts if fact.concerns in (None, terms.kind)}.values()


# The arithmetic of a clock that is open day and night. A business calendar replaces these two functions and no other.
def _between(start: int, end: int) -> int:
    return end - start


def _after(start: int, seconds: int) -> int:
    return start + seconds


# Clocks count whole seconds. The start is read down and everything later is read up, so a second that has begun counts:
# a stop a tenth of a second after the due is late, exactly as its event times say, and a due is always a whole second.
def _second(at: datetime) -> int:
    return (at - _EPOCH) // _SECOND


def _begun_second(at: datetime) -> int:
    return -((_EPOCH - at) // _SECOND)


def _instant(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=second)
