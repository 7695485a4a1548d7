"""The fold: all facts of a ticket, however they came, add up to where a clock stands and to the way that led there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from shared.business_time.known import CalendarName, Calendars, In
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, instant, second
from shared.contracts.sla import ClockCourse
from sla.domain.clock import (
    ENDED,
    Clock,
    Crossing,
    Fact,
    FactKind,
    Folded,
    Interval,
    Terms,
    Why,
    advanced,
    reached,
)


def fold(
    terms: Terms, facts: Iterable[Fact], calendars: Calendars, judged_until: datetime | None = None
) -> Folded | None:
    """One clock with its way; None while its start is not known.

    The order of `facts` and repeated fact ids make no difference. Facts before the start count as if they came with it.
    Time by itself is judged up to the last fact and up to `judged_until`, never up to a present that nobody gave.
    A fact that makes no difference judges it too: else an earlier one, told later, could take back what time had done.
    So does a switch that was told late, up to when that was: what it makes late is dated then.
    """
    mine = sorted(_once(terms, facts), key=Fact.order)
    course = [fact for fact in mine if fact.kind is not FactKind.SWITCH]
    start = next((fact for fact in course if fact.kind is FactKind.START), None)
    if start is None:
        return None
    switches = [fact for fact in mine if fact.kind is FactKind.SWITCH]
    given = [course[-1].occurred_at, judged_until, *(one.told_at for one in switches if _told_late(one))]
    until = max(at for at in given if at is not None)
    stages = []
    for known, since, to in _stages(switches):
        counted_in = _counted_in(terms, start, known)
        walk = _Walk(terms, calendars.hours(counted_in), counted_in, second(start.occurred_at))
        # Judged to the end: what a stage would miss after it was over, it never did (`_as_it_was_learnt`).
        stages.append((since, to, walk.whole(course, until)))
    folded = stages[-1][2]
    return replace(folded, clock=_as_it_was_learnt([(since, to, one.clock) for since, to, one in stages]))


def _counted_in(terms: Terms, start: Fact, switches: Sequence[Fact]) -> tuple[In, ...]:
    """The calendars that count from the start on, each from its instant."""
    found = {second(start.occurred_at): terms.calendar.version}
    for fact in sorted(switches, key=lambda fact: (fact.occurred_at, fact.calendar_version or 0)):
        found[max(second(start.occurred_at), second(fact.occurred_at))] = fact.calendar_version or 0
    return tuple(
        In(instant(at), CalendarName(terms.calendar.calendar_id, version)) for at, version in sorted(found.items())
    )


# What was known of the calendars from an instant on, and until which.
_Stage = tuple[list[Fact], datetime | None, datetime | None]


def _stages(switches: Sequence[Fact]) -> Iterator[_Stage]:
    """A new stage begins with each switch that was told later than it holds from; mostly there is one."""
    late = sorted(
        ((fact.told_at, fact) for fact in switches if fact.told_at is not None and _told_late(fact)),
        key=lambda told: (told[0], told[1].order()),
    )
    known = [fact for fact in switches if fact not in {one for _, one in late}]
    since: datetime | None = None
    for told_at, fact in late:
        yield list(known), since, told_at
        known.append(fact)
        since = told_at
    yield known, since, None


def _told_late(switch: Fact) -> bool:
    return switch.told_at is not None and switch.told_at > switch.occurred_at


def _as_it_was_learnt(stages: Sequence[tuple[datetime | None, datetime | None, Clock]]) -> Clock:
    """The clock by all that is known, with the breach that was the first to be known.

    One that only a switch told late has made is dated when that was told: nothing is missed earlier than what made it
    so. One that there was stands.
    """
    clock = stages[-1][2]
    for since, until, stage in stages:
        if stage.breached_at is None:
            continue
        learnt = stage.breached_at if since is None else max(stage.breached_at, instant(begun_second(since)))
        if until is None or learnt < until:
            would_have_been = None if learnt == stage.breached_at else stage.breached_at
            return replace(clock, breached_at=learnt, would_have_been_at=would_have_been)
    return clock


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

    def whole(self, course: Iterable[Fact], until: datetime) -> Folded:
        """All facts of the course, and what time does until an instant."""
        for fact in course:
            self.take(fact)
        clock = self.clock()
        crossed = reached(clock, self.terms, self.hours, until)
        clock = advanced(clock, crossed, self.hours, until)
        return Folded(clock, self.by, self.intervals(), (*self.crossings, *crossed))

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
