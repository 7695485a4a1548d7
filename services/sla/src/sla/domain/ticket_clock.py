"""One clock of one ticket: its pinned terms, where it stands, and the events that tell how it came there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Origin
from shared.contracts.sla import (
    ClockEvent,
    ClockKind,
    SlaClockBreached,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
)
from sla.domain.clock import (
    Clock,
    Course,
    Crossing,
    Fact,
    Terms,
    advance,
    ahead,
    first_state,
    fold,
    reached,
    run_out_at,
)

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
    client_id: str
    contract_id: str | None
    contract_version: int
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

    def alarm(self) -> datetime | None:
        """When time alone changes the clock next; None for one that stands, has nothing ahead, or was imported."""
        if self.clock is None or self.clock.state != "running" or self.origin == "import":
            return None
        warnings = ahead(self.clock, self.terms)
        if warnings:
            return warnings[0].at
        return self.clock.due_at if self.clock.breached_at is None else None

    def refold(self, facts: Iterable[Fact], noticed_at: datetime) -> list[Happening]:
        """Takes the state that all `facts` add up to; returns what that changes, in the order in which it happened."""
        course = fold(self.terms, facts, self.judged_until)
        if course is None:
            return []
        alarm, before = self.alarm(), self.clock
        self.clock = course.clock
        if self.alarm() != alarm:
            self.generation += 1
            self.to_arm = self.alarm()
        return self._differences(before, course, noticed_at)

    def pass_time(self, now: datetime) -> list[Happening]:
        """Judges the clock up to `now`, sets the next alarm, returns the warnings and the breach that this brings."""
        if self.clock is None:
            return []
        before, crossings = self.clock, reached(self.clock, self.terms, now)
        self.clock = advance(self.clock, self.terms, now)
        self.judged_until = now if self.judged_until is None else max(now, self.judged_until)
        self.to_arm = self.alarm()
        return [
            *self._warnings(before, self.clock, crossings, now),
            *self._breach(before, self.clock, now),
        ]

    def _differences(self, before: Clock | None, course: Course, noticed_at: datetime) -> list[Happening]:
        after = course.clock
        told: list[Happening] = []
        if before is None:
            before = first_state(self.terms, after.started_at)
            told = [self._started(before)]
        changes = [
            *self._movement(before, after),
            *self._warnings(before, after, course.crossings, noticed_at),
            *self._breach(before, after, noticed_at),
            *self._end(before, after),
        ]
        # Sorting is stable: what happened in the same second keeps the order of the list above.
        return [*told, *sorted(changes, key=lambda change: change.at)]

    def _started(self, first: Clock) -> Happening:
        event = SlaClockStarted(
            **self._name(),
            contract_id=self.contract_id,
            contract_version=self.contract_version,
            target_seconds=self.terms.target_seconds,
            started_at=first.started_at,
            due_at=run_out_at(first, self.terms),
        )
        return Happening(first.started_at, event)

    def _movement(self, before: Clock, after: Clock) -> list[Happening]:
        if after.state == "paused" and after.hold is not None:
            left = self.terms.target_seconds - after.counted_seconds
            if (before.state, before.hold, before.counted_seconds) == ("paused", after.hold, after.counted_seconds):
                return []
            paused = SlaClockPaused(**self._name(), paused_at=after.since, remaining_seconds=left, reason=after.hold)
            return [Happening(after.since, paused)]
        if after.state == "running" and after.due_at is not None:
            if (before.state, before.due_at) == ("running", after.due_at):
                return []
            resumed = SlaClockResumed(**self._name(), resumed_at=after.since, due_at=after.due_at)
            return [Happening(after.since, resumed)]
        return []

    def _warnings(
        self, before: Clock, after: Clock, crossings: Iterable[Crossing], noticed_at: datetime
    ) -> list[Happening]:
        """What the alarms tell, or would have told.

        Nobody is warned of a clock that has already ended, nor of anything that was imported.
        """
        if after.state == "ended" or self.origin == "import":
            return []
        return [
            Happening(
                crossing.at,
                SlaClockWarned(
                    **self._name(),
                    threshold=crossing.threshold,
                    crossed_at=crossing.at,
                    due_at=run_out_at(after, self.terms),
                    late_by_seconds=_whole_seconds(noticed_at - crossing.at),
                ),
                reached=crossing.threshold.said_as,
            )
            for crossing in crossings
            if crossing.threshold.seconds > before.warned_seconds
        ]

    def _breach(self, before: Clock, after: Clock, noticed_at: datetime) -> list[Happening]:
        if after.breached_at is None or before.breached_at is not None:
            return []
        breached = SlaClockBreached(
            **self._name(),
            breached_at=after.breached_at,
            due_at=after.breached_at,
            late_by_seconds=_whole_seconds(noticed_at - after.breached_at),
        )
        return [Happening(after.breached_at, breached, reached=TARGET)]

    def _end(self, before: Clock, after: Clock) -> list[Happening]:
        if after.state != "ended" or (before.state, before.since, before.counted_seconds) == (
            "ended",
            after.since,
            after.counted_seconds,
        ):
            return []
        left = self._left(after)
        event: ClockEvent
        if after.breached_at is None:
            event = SlaClockMet(
                **self._name(),
                stopped_at=after.since,
                elapsed_seconds=after.counted_seconds,
                remaining_seconds=left,
            )
        else:
            event = SlaClockStopped(
                **self._name(),
                stopped_at=after.since,
                elapsed_seconds=after.counted_seconds,
                late_seconds=-left,
            )
        return [Happening(after.since, event)]

    def _left(self, clock: Clock) -> int:
        return self.terms.target_seconds - clock.counted_seconds

    def _name(self) -> dict[str, Any]:
        return {"ticket_id": self.ticket_id, "clock_id": self.id, "kind": self.kind}


def _whole_seconds(lateness: timedelta) -> int:
    return max(0, lateness // timedelta(seconds=1))
