"""What a clock shows at an instant: the one way to read it, in every service to the second the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, instant, second

# For people, one word. `closed` runs, and counts again when business opens.
ClockWord = Literal["void", "cancelled", "met", "breached", "paused", "closed", "running"]


class Kept(Protocol):
    """A clock as its last event left it (`shared.contracts.sla.ClockState`)."""

    @property
    def course(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def target_seconds(self) -> int: ...
    @property
    def elapsed_seconds(self) -> int:
        """What had been counted at `since`."""
        ...

    @property
    def since(self) -> datetime: ...
    @property
    def due_at(self) -> datetime | None: ...
    @property
    def breached_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock at an instant; so that anything may count down by itself until `ticking_changes_at`.

    `remaining_seconds` is open time, negative when overdue. `breaches_at` is where a running clock will be missed: the
    first open second after its due. `overdue_wall_seconds` goes on day and night from the breach, until it ended.
    """

    state: str
    remaining_seconds: int
    overdue_wall_seconds: int | None
    ticking: bool
    ticking_changes_at: datetime | None
    breaches_at: datetime | None


def read_clock(kept: Kept, hours: OpenTime, now: datetime) -> Reading:
    """What the clock shows at `now`, which is not before what its last event told.

    That it has run out is seen here at once, whether its event has come or not.
    """
    running = kept.course == "running"
    counted = kept.elapsed_seconds
    if running:
        counted += max(0, hours.between(second(kept.since), begun_second(now)))
    breaches_at = _breaches_at(kept, hours) if running and kept.breached_at is None else None
    breached_at = kept.breached_at or (breaches_at if counted > kept.target_seconds else None)
    missed = kept.outcome == "breached" or breached_at is not None
    this = second(now)
    ticking = running and hours.is_open(this)
    return Reading(
        state=_word(kept, missed, ticking),
        remaining_seconds=kept.target_seconds - counted,
        overdue_wall_seconds=_overdue(kept, breached_at, now),
        ticking=ticking,
        ticking_changes_at=_instant(hours.next_change(this)) if running else None,
        breaches_at=None if missed else breaches_at,
    )


def _word(kept: Kept, missed: bool, ticking: bool) -> str:
    if kept.course in ("void", "cancelled"):
        return kept.course
    if missed:
        return "breached"
    # Codes of a later release, too.
    if kept.outcome != "pending":
        return kept.outcome
    return "closed" if kept.course == "running" and not ticking else kept.course


def _breaches_at(kept: Kept, hours: OpenTime) -> datetime | None:
    if kept.due_at is None:
        return None
    # What was used up before a hold is missed by the first second that counts after it.
    return _instant(hours.next_open(max(second(kept.due_at), second(kept.since))))


def _overdue(kept: Kept, breached_at: datetime | None, now: datetime) -> int | None:
    if breached_at is None:
        return None
    until = now if kept.course in ("running", "paused") else kept.since
    return max(0, begun_second(until) - second(breached_at))


def _instant(at: int | None) -> datetime | None:
    return None if at is None else instant(at)
