"""What inventory, sla and devlink tell about one ticket, with values written by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Received
from shared.contracts.inventory import EnvironmentResolved, EnvironmentUnknown, InstalledModule
from shared.contracts.sla import (
    SlaClockBreached,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
    Threshold,
)
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


def started(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESOLUTION, hours: float = 24) -> Received[Any]:
    data = SlaClockStarted(
        ticket_id=ticket_id, clock_id=clock_id, kind="response" if clock_id == RESPONSE else "resolution",
        contract_id="c-molinos", contract_version=3, target_seconds=int(hours * HOUR), started_at=NOW,
        due_at=later(60 * hours),
    )  # fmt: skip
    return received(data, sequence=sequence)


def paused(ticket_id: UUID, sequence: int, *, remaining: int = 5000) -> Received[Any]:
    data = SlaClockPaused(
        ticket_id=ticket_id, clock_id=RESOLUTION, kind="resolution", paused_at=later(10),
        remaining_seconds=remaining, reason="waiting-for-client",
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(10))


def resumed(ticket_id: UUID, sequence: int) -> Received[Any]:
    data = SlaClockResumed(
        ticket_id=ticket_id, clock_id=RESOLUTION, kind="resolution", resumed_at=later(30), due_at=later(1460)
    )
    return received(data, sequence=sequence, at=later(30))


def warned(ticket_id: UUID, sequence: int, *, percent: int = 50) -> Received[Any]:
    threshold = Threshold(seconds=864 * percent, said_as=f"{percent}%")
    data = SlaClockWarned(
        ticket_id=ticket_id, clock_id=RESOLUTION, kind="resolution", threshold=threshold, crossed_at=later(740),
        due_at=later(1460),
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(740))


def breached(ticket_id: UUID, sequence: int) -> Received[Any]:
    data = SlaClockBreached(
        ticket_id=ticket_id, clock_id=RESOLUTION, kind="resolution", breached_at=later(1460), due_at=later(1460)
    )
    return received(data, sequence=sequence, at=later(1460))


def stopped(ticket_id: UUID, sequence: int) -> Received[Any]:
    data = SlaClockStopped(
        ticket_id=ticket_id, clock_id=RESOLUTION, kind="resolution", stopped_at=later(1500), elapsed_seconds=88_800,
        late_seconds=2400,
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(1500))


def met(ticket_id: UUID, sequence: int, *, clock_id: UUID = RESPONSE) -> Received[Any]:
    data = SlaClockMet(
        ticket_id=ticket_id, clock_id=clock_id, kind="response" if clock_id == RESPONSE else "resolution",
        stopped_at=later(5), elapsed_seconds=300, remaining_seconds=3300,
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(5))


def linked(ticket_id: UUID, sequence: int) -> Received[Any]:
    data = DevTaskLinked(
        ticket_id=ticket_id, task_id=TASK, escalation_id=ESCALATION, tracker="board", external_id="17",
        display_id="DEV-17", url="http://board.example/DEV-17", status="new",
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(2))


def moved(ticket_id: UUID, sequence: int, status: Any, previous: Any, fix_version: str | None = None) -> Received[Any]:
    data = DevTaskStatusChanged(
        ticket_id=ticket_id, task_id=TASK, escalation_id=ESCALATION, status=status, previous_status=previous,
        tracker_status=f"Estado {status}", fix_version=fix_version,
    )  # fmt: skip
    return received(data, sequence=sequence, at=later(sequence))


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
