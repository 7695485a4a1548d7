"""What inventory, sla and devlink tell about one ticket, with values written by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Received
from shared.contracts.inventory import EnvironmentResolved, EnvironmentUnknown, InstalledModule
from shared.contracts.sla import (
    ClockEvent,
    ClockState,
    CountedIn,
    SlaClockBreached,
    SlaClockCancelled,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
    Threshold,
)
from tests.support.briefs import clock_state, task_brief
from tests.tickets.desk import HOUR, NOW, received

RESPONSE, RESOLUTION, TASK, ESCALATION = (UUID(int=number) for number in (11, 12, 13, 14))


def later(minutes: float) -> Any:
    """An instant, in minutes after NOW."""
    return NOW + timedelta(minutes=minutes)


def unknown(ticket_id: UUID, sequence: int) -> Received[Any]:
    data = EnvironmentUnknown(
        ticket_id=ticket_id, client_id="molinos", reason="several-installations", candidates=("a1", "a2")
    )
    return received(data, sequence=sequence)


def resolved(ticket_id: UUID, sequence: int) -> Received[Any]:
    module = InstalledModule(module_id="facturacion", name="Facturación", version="8.2.1", nature="standard")
    data = EnvironmentResolved(
        ticket_id=ticket_id, client_id="molinos", installation_id="molinos-gestion", product_id="gestion",
        product_name="PSA Gestión", product_version="8.2.1", modules=(module,), changed_at=NOW,
    )  # fmt: skip
    return received(data, sequence=sequence)


def counted_in(calendar_id: str, version: int = 1, from_at: datetime = NOW) -> tuple[CountedIn, ...]:
    """One version of a calendar, all the way."""
    return (CountedIn(from_at=from_at, calendar_id=calendar_id, calendar_version=version),)


def clock(clock_id: UUID = RESOLUTION, *, hours: float = 24, **changes: Any) -> ClockState:
    """A clock of the contract of molinos as it starts, with what is otherwise."""
    usual: dict[str, Any] = {
        "kind": "response" if clock_id == RESPONSE else "resolution", "contract_id": "c-molinos", "contract_version": 3,
        "target_seconds": int(hours * HOUR), "started_at": NOW, "since": NOW, "due_at": later(60 * hours),
        "counted_in": counted_in("24x7"),
    }  # fmt: skip
    return clock_state(clock_id, **(usual | changes))


def of_clock(
    event: type[ClockEvent], ticket_id: UUID, sequence: int, state: ClockState, at: datetime, **more: Any
) -> Received[Any]:
    """Any event of a clock, with the state that it leaves."""
    return received(event(ticket_id=ticket_id, clock=state, **more), sequence=sequence, at=at)


def started(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION, hours: float = 24) -> Received[Any]:
    return of_clock(SlaClockStarted, ticket_id, sequence, clock(clock_id, hours=hours), NOW)


def paused(
    ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION, left: int = 85_800, **changes: Any
) -> Received[Any]:
    """It paused after ten minutes, with `left` seconds to go."""
    state = clock(
        clock_id, course="paused", since=later(10), elapsed_seconds=24 * HOUR - left, due_at=None,
        pause_reason="waiting-for-client", **changes,
    )  # fmt: skip
    return of_clock(SlaClockPaused, ticket_id, sequence, state, later(10))


# It ran on after twenty minutes of pause, towards a due that lies as much later.
_RAN_ON: dict[str, Any] = {"since": later(30), "elapsed_seconds": 600, "due_at": later(1460)}


def resumed(
    ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION, because: str = "released", **changes: Any
) -> Received[Any]:
    state = clock(clock_id, **(_RAN_ON | changes))
    return of_clock(SlaClockResumed, ticket_id, sequence, state, later(30), because=because)


def warned(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION, percent: int = 50) -> Received[Any]:
    threshold = Threshold(seconds=864 * percent, said_as=f"{percent}%")
    state = clock(clock_id, **_RAN_ON, warned_as=threshold.said_as)
    crossed = later(740)
    return of_clock(SlaClockWarned, ticket_id, sequence, state, crossed, threshold=threshold, crossed_at=crossed)


_BREACHED: dict[str, Any] = {**_RAN_ON, "warned_as": "75%", "outcome": "breached", "breached_at": later(1460)}


def breached(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION) -> Received[Any]:
    return of_clock(SlaClockBreached, ticket_id, sequence, clock(clock_id, **_BREACHED), later(1460))


def stopped(ticket_id: UUID, sequence: int) -> Received[Any]:
    """It stopped forty minutes late."""
    state = clock(**(_BREACHED | {"course": "stopped", "since": later(1500), "elapsed_seconds": 88_800}))
    return of_clock(SlaClockStopped, ticket_id, sequence, state, later(1500))


def met(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESPONSE) -> Received[Any]:
    """It stopped after five minutes."""
    hours = 1 if clock_id == RESPONSE else 24
    state = clock(clock_id, hours=hours, course="stopped", outcome="met", since=later(5), elapsed_seconds=300)
    return of_clock(SlaClockMet, ticket_id, sequence, state, later(5))


def cancelled(ticket_id: UUID, sequence: int, **changes: Any) -> Received[Any]:
    """It ended with its ticket after twenty minutes."""
    state = clock(**{"course": "cancelled", "since": later(20), "elapsed_seconds": 1200, **changes})
    return of_clock(SlaClockCancelled, ticket_id, sequence, state, later(20))


def linked(
    ticket_id: UUID, sequence: int, *, task_id: UUID = TASK, escalation_id: UUID = ESCALATION, **changes: Any
) -> Received[Any]:
    data = DevTaskLinked(
        ticket_id=ticket_id, escalation_id=escalation_id, task=task_brief(task_id, status_at=later(2), **changes)
    )
    return received(data, sequence=sequence, at=later(2))


def moved(ticket_id: UUID, sequence: int, status: str, previous: str, fix_version: str | None = None) -> Received[Any]:
    """It was moved as many minutes after NOW as `sequence` says."""
    at = later(sequence)
    task = task_brief(TASK, status=status, status_at=at, tracker_status=f"Estado {status}", fix_version=fix_version)
    data = DevTaskStatusChanged(ticket_id=ticket_id, escalation_id=ESCALATION, task=task, previous_status=previous)
    return received(data, sequence=sequence, at=at)


def whole_story(ticket_id: UUID) -> list[Received[Any]]:
    """Everything that the others tell of one ticket, in the order in which it happened; sequences per owner."""
    return [
        unknown(ticket_id, 100),
        started(ticket_id, 200, clock_id=RESPONSE, hours=1),
        started(ticket_id, 201),
        resolved(ticket_id, 101),
        linked(ticket_id, 300),
        met(ticket_id, 202),
        paused(ticket_id, 203),
        resumed(ticket_id, 204),
        moved(ticket_id, 301, "in_progress", "new"),
        warned(ticket_id, 205),
        warned(ticket_id, 206, percent=75),
        breached(ticket_id, 207),
        moved(ticket_id, 302, "fixed", "in_progress", "8.2.2"),
        stopped(ticket_id, 208),
    ]
