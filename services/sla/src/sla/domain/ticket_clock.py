"""One clock of one ticket: its pinned terms, where it stands, and the events that tell how it came there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from shared.business_time.known import CalendarName, Calendars
from shared.business_time.open_time import OpenTime
from shared.contracts.envelope import Cause, Origin
from shared.contracts.sla import (
    ClockEvent,
    ClockKind,
    ClockState,
    CountedIn,
    ResumedBecause,
    SlaClockBreached,
    SlaClockCancelled,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockRetargeted,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
)
from sla.domain.clock import ENDED, Clock, Crossing, Fact, FactKind, Folded, Terms, advanced, ahead, reached
from sla.domain.fold import first_state, fold

# What made a clock run that had stood; whatever else moves its due was told late.
_BECAUSE: dict[FactKind, ResumedBecause] = {FactKind.RESUME: "released", FactKind.REOPEN: "reopened"}

# What a breach had reached. No contract says a threshold like this.
TARGET = "target"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event and when it happened, which is not when it was noticed.

    `reached` is what time had reached at that instant: a threshold as the contract says it, or TARGET; None for what no
    time did.
    """

    at: datetime
    event: ClockEvent
    reached: str | None = None


@dataclass(slots=True)
class TicketClock:
    """A clock as it is kept. `clock` is None until `refold` has seen its start.

    `generation` goes up whenever the alarm that was set is no longer the right one; `to_arm` is the alarm that is still
    to be set. `judged_until` is the instant up to which time alone has been judged.
    """

    id: UUID
    ticket_id: UUID
    client_id: str | None
    contract_id: str | None
    contract_version: int
    cycle: int
    terms: Terms
    origin: Origin
    correlation_id: str
    clock: Clock | None = None
    judged_until: datetime | None = None
    generation: int = 0
    to_arm: datetime | None = field(default=None, compare=False)

    @property
    def kind(self) -> ClockKind:
        """First response or resolution."""
        return self.terms.kind

    def cause(self, now: datetime) -> Cause:
        """The cause of what time, or this service by itself, does to it."""
        return caused_by_time(now, self.correlation_id, self.origin)

    def names(self) -> set[CalendarName]:
        """The versions of its calendar in which it counts."""
        later = {one.calendar for one in self.clock.counted_in} if self.clock else set()
        return {self.terms.calendar, *later}

    def switched_to(self, facts: Iterable[Fact]) -> set[CalendarName]:
        """The versions of its calendar to which these facts switch it."""
        mine = (one for one in facts if one.concerns == self.kind)
        return {self.terms.calendar._replace(version=one.calendar_version) for one in mine if one.calendar_version}

    def alarm(self, calendars: Calendars) -> datetime | None:
        """When time alone changes the clock next; None for one that stands, has nothing ahead, or was imported."""
        if self.clock is None or self.clock.course != "running" or self.origin == "import":
            return None
        hours = calendars.hours(self.clock.counted_in)
        warning = next(ahead(self.clock, self.terms, hours), None)
        return warning.at if warning else self.clock.breaches_at(hours)

    def refold(self, facts: Iterable[Fact], noticed_at: datetime, calendars: Calendars) -> list[Happening]:
        """Takes the state that all `facts` add up to; returns what that changes, in the order in which it happened."""
        folded = fold(self.terms, facts, calendars, self.judged_until)
        if folded is None:
            return []
        alarm, before = self.alarm(calendars), self.clock
        self.clock = folded.clock
        new_alarm = self.alarm(calendars)
        if new_alarm != alarm:
            self.generation += 1
            self.to_arm = new_alarm
        return self._differences(before, folded, noticed_at, calendars)

    def pass_time(self, now: datetime, calendars: Calendars) -> list[Happening]:
        """Judges the clock up to `now`, sets the next alarm, returns the warnings and the breach that this brings."""
        if self.clock is None:
            return []
        hours = calendars.hours(self.clock.counted_in)
        before, crossings = self.clock, reached(self.clock, self.terms, hours, now)
        self.clock = advanced(self.clock, crossings, hours, now)
        self.judged_until = now if self.judged_until is None else max(now, self.judged_until)
        self.to_arm = self.alarm(calendars)
        return [
            *self._warnings(before, self.clock, crossings, now),
            *self._breach(before, self.clock, now),
        ]

    def state_of(self, clock: Clock) -> ClockState:
        """A clock as its events carry it. What was imported warns nobody, so no threshold is told of it here either."""
        warned = [one.said_as for one in self.terms.thresholds if one.seconds <= clock.warned_seconds]
        return ClockState(
            clock_id=self.id,
            kind=self.kind,
            cycle=self.cycle,
            course=clock.course,
            outcome=clock.outcome,
            contract_id=self.contract_id,
            contract_version=self.contract_version,
            target_seconds=self.terms.target_seconds,
            elapsed_seconds=clock.counted_seconds,
            started_at=clock.started_at,
            since=clock.since,
            due_at=clock.due_at,
            pause_reason=clock.hold if clock.course == "paused" else None,
            warned_as=warned[-1] if warned and self.origin != "import" else None,
            breached_at=clock.breached_at,
            would_have_been_at=clock.would_have_been_at,
            counted_in=tuple(_counted_in(at, calendar) for at, calendar in clock.counted_in),
        )

    def _differences(
        self, before: Clock | None, folded: Folded, noticed_at: datetime, calendars: Calendars
    ) -> list[Happening]:
        after, hours = folded.clock, calendars.hours(folded.clock.counted_in)
        told: list[Happening] = []
        if before is None:
            before = first_state(self.terms, after, hours)
            told = [self._happening(after.started_at, SlaClockStarted)]
        changes = [
            *self._switch(before, after, noticed_at),
            *self._movement(before, folded, hours),
            *self._warnings(before, after, folded.crossings, noticed_at),
            *self._breach(before, after, noticed_at),
            *self._end(before, after),
        ]
        # Sorting is stable: what happened in the same second keeps the order of the list above.
        return [*told, *sorted(changes, key=lambda change: change.at)]

    def _switch(self, before: Clock, after: Clock, noticed_at: datetime) -> list[Happening]:
        """That it counts in another calendar from an instant on; what else changed of its course is told beside it."""
        if before.counted_in == after.counted_in:
            return []
        was_due = before.due_at
        return [self._happening(noticed_at, SlaClockRetargeted, because="calendar-switched", previous_due_at=was_due)]

    def _movement(self, before: Clock, folded: Folded, hours: OpenTime) -> list[Happening]:
        """That it stands or runs as it does, told again where what is told late changed what that means."""
        after, again = folded.clock, _breach_is_another(before, folded.clock)
        if before.counted_in != after.counted_in and before.course == after.course:
            return []
        if after.course == "paused":
            as_before = (before.course, before.hold, before.counted_seconds) == (
                after.course,
                after.hold,
                after.counted_seconds,
            )
            return [] if as_before and not again else [self._happening(after.since, SlaClockPaused)]
        if after.course == "running":
            if _runs_as_before(before, after, hours) and not again:
                return []
            because = "corrected" if before.course == "running" else _BECAUSE.get(folded.by, "corrected")
            return [self._happening(after.since, SlaClockResumed, because=because)]
        return []

    def _warnings(
        self, before: Clock, after: Clock, crossings: Iterable[Crossing], noticed_at: datetime
    ) -> list[Happening]:
        """What the alarms tell, or would have told.

        Nobody is warned of a clock that has already ended, nor of anything that was imported.
        """
        if after.course in ENDED or self.origin == "import":
            return []
        return [
            self._happening(
                crossing.at,
                SlaClockWarned,
                reached=crossing.threshold.said_as,
                threshold=crossing.threshold,
                crossed_at=crossing.at,
                late_by_seconds=_whole_seconds(noticed_at - crossing.at),
            )
            for crossing in crossings
            if crossing.threshold.seconds > before.warned_seconds
        ]

    def _breach(self, before: Clock, after: Clock, noticed_at: datetime) -> list[Happening]:
        if after.breached_at is None or before.breached_at is not None:
            return []
        late = _whole_seconds(noticed_at - after.breached_at)
        return [self._happening(after.breached_at, SlaClockBreached, reached=TARGET, late_by_seconds=late)]

    def _end(self, before: Clock, after: Clock) -> list[Happening]:
        """How it ended, told again where what is told late changed when, after how much, or whether in time."""
        as_before = (before.course, before.since, before.counted_seconds) == (
            after.course,
            after.since,
            after.counted_seconds,
        )
        if after.course not in ENDED or (as_before and before.breached_at == after.breached_at):
            return []
        if after.course == "cancelled":
            return [self._happening(after.since, SlaClockCancelled)]
        return [self._happening(after.since, SlaClockMet if after.outcome == "met" else SlaClockStopped)]

    def _happening(
        self, at: datetime, event: type[ClockEvent], *, reached: str | None = None, **told: Any
    ) -> Happening:
        """Something that happened to the clock, whose present state goes with it."""
        if self.clock is None:
            raise ValueError("nothing happens to a clock before its start")
        return Happening(at, event(ticket_id=self.ticket_id, clock=self.state_of(self.clock), **told), reached)


def caused_by_time(now: datetime, correlation_id: str, origin: Origin) -> Cause:
    """Nobody did it: its instant came."""
    return Cause(actor="system:sla", occurred_at=now, recorded_at=now, correlation_id=correlation_id, origin=origin)


# Many clocks are switched at the same instant; the others' are as cheap to make as to look up.
@lru_cache(maxsize=256)
def _counted_in(at: datetime, calendar: CalendarName) -> CountedIn:
    return CountedIn(from_at=at, calendar_id=calendar.calendar_id, calendar_version=calendar.version)


def _runs_as_before(before: Clock, after: Clock, hours: OpenTime) -> bool:
    """Whether a running clock has counted the same, though in other stretches, and runs out at the same instant."""
    if (before.course, before.due_at) != ("running", after.due_at):
        return False
    both = max(before.since, after.since)
    return before.elapsed_seconds(hours, both) == after.elapsed_seconds(hours, both)


def _breach_is_another(before: Clock, after: Clock) -> bool:
    """Whether a breach that was told was none, or lies elsewhere: no event of its own says so."""
    return before.breached_at is not None and before.breached_at != after.breached_at


def _whole_seconds(lateness: timedelta) -> int:
    return max(0, lateness // timedelta(seconds=1))
