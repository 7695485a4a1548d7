"""Clocks as they are shown: the database says what was told of each, their calendars what is left at an instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, Field
from pydantic_core import from_json

from shared.clock_reading import read_clock
from shared.contracts.codes import written
from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, CountedIn
from shared.contracts.tickets import HoldReason
from shared.db.transaction import Reader
from tickets.domain.closing import office_hours
from tickets.queries.written import View, array_of, object_of
from tickets.repository import calendars

# A clock as JSON has it.
Written = dict[str, Any]


class ReadingView(View):
    """What a clock shows at `server_time`; until `ticking_changes_at` anybody can count on by themselves.

    While the calendar of a clock that runs has not come, nobody can say what is left: what is null is not known.
    """

    state: str = Field(
        description="in one word: `void`, `cancelled`, `breached`, `met`, `paused`, `closed` (it runs, and counts "
        "again when business opens), `running`",
        examples=["running"],
    )
    remaining_seconds: int | None = Field(description="of open time; negative when it is overdue")
    overdue_wall_seconds: int | None = Field(description="since the breach, day and night; null without one")
    ticking: bool | None = Field(description="whether this moment counts")
    ticking_changes_at: AwareDatetime | None = Field(description="when business opens or closes next, while it runs")


class ClockTold(View):
    """A clock as sla told it."""

    id: UUID
    kind: Annotated[str, written(ClockKind)]
    cycle: int
    course: Annotated[str, written(ClockCourse)]
    outcome: Annotated[str, written(ClockOutcome)]
    due_at: AwareDatetime | None = Field(description="null while it is paused")
    since: AwareDatetime = Field(description="when its present course began")
    pause_reason: Annotated[str, written(HoldReason)] | None
    target_seconds: int
    elapsed_seconds: int = Field(description="what had been counted at `since`")
    started_at: AwareDatetime
    contract_id: str | None
    contract_version: int
    counted_in: list[CountedIn] = Field(description="the calendars that count, by their instants")
    warned_as: str | None = Field(description="the furthest threshold reached, as the contract says it: `50%`")
    breached_at: AwareDatetime | None
    would_have_been_at: AwareDatetime | None = Field(
        description="where the breach would lie had one known earlier what made it one"
    )


class ClockView(ClockTold, ReadingView):
    """One clock at `server_time`."""


class ClockShort(ReadingView):
    """A clock at `server_time`, as in the view of the ticket."""

    due_at: AwareDatetime | None
    breached: bool = Field(description="it has run out, whatever became of it afterwards")


class NextDue(ReadingView):
    """The running clock that runs out first."""

    kind: Annotated[str, written(ClockKind)]
    at: AwareDatetime
    breached: bool


class _Kept(NamedTuple):
    """A clock as far as it is read."""

    course: str
    outcome: str
    target_seconds: int
    elapsed_seconds: int
    since: datetime
    due_at: datetime | None
    breached_at: datetime | None


# Of the clocks of a ticket `t`; `read_clocks` says what they show.
TOLD = (
    f"""{array_of(object_of(ClockTold, "k"), "k.kind DESC, k.id", "tickets.clocks k WHERE k.ticket_id = t.id")}::text"""
)
_READING = tuple(ReadingView.model_fields)


async def read_clocks(connection: Reader, told: Iterable[str], now: datetime) -> list[list[Written]]:
    """The clocks of each ticket as ClockView describes them, from `TOLD`; all at one instant."""
    tickets: list[list[Written]] = [from_json(each) for each in told]
    # What does not run is read without its calendar.
    counted = {
        clock["id"]: calendars.named_in(clock["counted_in"])
        for clocks in tickets
        for clock in clocks
        if clock["course"] == "running"
    }
    await calendars.learn_calendars(connection, {one.calendar for each in counted.values() for one in each})
    return [[clock | _reading(clock, counted, now) for clock in clocks] for clocks in tickets]


def in_short(clocks: Sequence[Written], *, is_queued: bool) -> dict[str, Written | None]:
    """What a row of a list shows of the clocks of a ticket: the one that runs out next, and the latest of each kind."""
    running = [one for one in clocks if one["course"] == "running" and one["due_at"] is not None] if is_queued else []
    return {
        "next_due": _next_due(min(running, key=_by_due)) if running else None,
        "response": _latest(clocks, "response"),
        "resolution": _latest(clocks, "resolution"),
    }


def _reading(clock: Written, counted: Mapping[str, Any], now: datetime) -> Written:
    hours = calendars.hours(counted[clock["id"]]) if clock["id"] in counted else office_hours()
    if hours is None:
        # What was told needs no calendar.
        told = clock["course"] if clock["outcome"] == "pending" else clock["outcome"]
        return dict.fromkeys(_READING) | {"state": told}
    kept = _Kept(
        clock["course"],
        clock["outcome"],
        clock["target_seconds"],
        clock["elapsed_seconds"],
        datetime.fromisoformat(clock["since"]),
        _instant(clock["due_at"]),
        _instant(clock["breached_at"]),
    )
    read = read_clock(kept, hours, now)
    changes_at = read.ticking_changes_at
    return {
        "state": read.state,
        "remaining_seconds": read.remaining_seconds,
        "overdue_wall_seconds": read.overdue_wall_seconds,
        "ticking": read.ticking,
        "ticking_changes_at": None if changes_at is None else changes_at.isoformat(),
    }


def _latest(clocks: Iterable[Written], kind: str) -> Written | None:
    of_kind = [one for one in clocks if one["kind"] == kind]
    if not of_kind:
        return None
    latest = min(of_kind, key=_by_cycle)
    return {**_shown(latest), "due_at": latest["due_at"], "breached": _has_run_out(latest)}


def _next_due(clock: Written) -> Written:
    due = {"kind": clock["kind"], "at": clock["due_at"], "breached": _has_run_out(clock)}
    return _shown(clock) | due


def _has_run_out(clock: Written) -> bool:
    # The reading sees it before its event has come, and a cancelled one keeps what it had missed.
    return clock["breached_at"] is not None or clock["state"] == "breached"


def _shown(clock: Written) -> Written:
    return {name: clock[name] for name in _READING}


# Instants that PostgreSQL has written, all of them in UTC, sort as texts.
def _by_due(clock: Written) -> tuple[bool, str, str]:
    return clock["due_at"] is None, clock["due_at"] or "", clock["id"]


def _by_cycle(clock: Written) -> tuple[Any, ...]:
    return (-clock["cycle"], *_by_due(clock))


def _instant(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
