"""Replicas and read models: `apply(tx, events)` is idempotent and gives the same result in any order of events.

Nothing here writes history, outbox or the ticket itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Received
from shared.contracts.inventory import (
    ClientRecorded,
    EnvironmentResolved,
    EnvironmentUnknown,
    InstallationRecorded,
    ModuleRecorded,
    ProductRecorded,
)
from shared.contracts.sla import (
    ContractRecorded,
    SlaClockBreached,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
)
from shared.db.transaction import Transaction
from shared.projection import Projection, Projections, Row
from shared.spelling import search_key, sort_key
from tickets import repository


def _record(table: str, *columns: str) -> Projection:
    return Projection(table, key=("id",), groups={"sequence": (*columns, "retired")})


CLIENT = _record("clients", "name", "name_key", "tax_id", "tax_key", "tier", "city", "contact", "phone")
PRODUCT = _record("products", "name")
MODULE = _record("modules", "name", "product_id", "nature", "client_id")
INSTALLATION = _record("installations", "client_id", "product_id", "product_version", "modules")
CONTRACT = _record("contracts", "client_id", "contract_type", "valid_from", "valid_until", "promised_s1_seconds")
ENVIRONMENT = Projection("environments", key=("ticket_id",), groups={"sequence": ("state", "data")})
CLOCK = Projection(
    "clocks",
    key=("id",),
    fixed=("ticket_id", "kind"),
    groups={
        "start_sequence": ("contract_id", "contract_version", "target_seconds", "started_at"),
        "course_sequence": ("course", "course_at", "remaining_seconds", "pause_reason"),
        "due_sequence": ("due_at",),
        "warned_sequence": ("warned_as",),
        "breach_sequence": ("breached_at",),
    },
)
TASK = Projection(
    "tasks",
    key=("ticket_id", "id"),
    fixed=("escalation_id",),
    groups={
        "link_sequence": ("tracker", "external_id", "display_id", "url"),
        "status_sequence": ("status", "status_at", "tracker_status", "reason", "fix_version"),
    },
)


def _state(event: Received[Any], *columns: str) -> Row:
    names = ("id", "retired", *columns)
    return {**event.data.model_dump(mode="json", include=set(names)), "sequence": event.sequence}


def _client(event: Received[ClientRecorded]) -> Row:
    row = _state(event, "name", "tax_id", "tier", "city", "contact", "phone")
    tax_id = event.data.tax_id
    return {**row, "name_key": sort_key(event.data.name), "tax_key": search_key(tax_id) if tax_id is not None else None}


def _product(event: Received[ProductRecorded]) -> Row:
    return _state(event, "name")


def _module(event: Received[ModuleRecorded]) -> Row:
    return _state(event, "name", "product_id", "nature", "client_id")


def _installation(event: Received[InstallationRecorded]) -> Row:
    return _state(event, "client_id", "product_id", "product_version", "modules")


def _contract(event: Received[ContractRecorded]) -> Row:
    row = _state(event, "client_id", "contract_type", "valid_from", "valid_until")
    promised = [target.resolution_seconds for target in event.data.targets if target.severity == 1]
    return {**row, "promised_s1_seconds": min(promised, default=None)}


def _environment(event: Received[EnvironmentResolved | EnvironmentUnknown]) -> Row:
    state = "resolved" if isinstance(event.data, EnvironmentResolved) else "unknown"
    data = event.data.model_dump(mode="json", exclude={"ticket_id"})
    return {"ticket_id": event.data.ticket_id, "state": state, "data": data, "sequence": event.sequence}


def _clock(event: Received[Any], **columns: Any) -> Row:
    data = event.data
    return {"id": data.clock_id, "ticket_id": data.ticket_id, "kind": data.kind, **columns}


def _course(event: Received[Any], course: str, at: Any, remaining: int | None, reason: str | None = None) -> Row:
    return {
        "course": course,
        "course_at": at,
        "remaining_seconds": remaining,
        "pause_reason": reason,
        "course_sequence": event.sequence,
    }


def _due(event: Received[Any]) -> Row:
    return {"due_at": event.data.due_at, "due_sequence": event.sequence}


def _started(event: Received[SlaClockStarted]) -> Row:
    data = event.data
    return _clock(
        event,
        contract_id=data.contract_id,
        contract_version=data.contract_version,
        target_seconds=data.target_seconds,
        started_at=data.started_at,
        start_sequence=event.sequence,
        **_course(event, "running", data.started_at, None),
        **_due(event),
    )


# A fact that comes late may undo a breach, and sla then tells the state that is true: where seconds are left, there was
# none (decision 0005).
def _breach(event: Received[Any], at: Any) -> Row:
    return {"breached_at": at, "breach_sequence": event.sequence}


def _paused(event: Received[SlaClockPaused]) -> Row:
    data = event.data
    breach = _breach(event, None) if data.remaining_seconds >= 0 else {}
    return _clock(event, **_course(event, "paused", data.paused_at, data.remaining_seconds, data.reason), **breach)


def _resumed(event: Received[SlaClockResumed]) -> Row:
    data = event.data
    # One that ran out again before anybody heard of it did so at its due; that was perhaps announced before.
    ran_out = data.due_at if data.due_at < event.recorded_at else None
    breach = _breach(event, ran_out) if data.due_at >= data.resumed_at else {}
    return _clock(event, **_course(event, "running", data.resumed_at, None), **_due(event), **breach)


def _warned(event: Received[SlaClockWarned]) -> Row:
    return _clock(event, warned_as=event.data.threshold.said_as, warned_sequence=event.sequence, **_due(event))


def _breached(event: Received[SlaClockBreached]) -> Row:
    return _clock(event, **_breach(event, event.data.breached_at), **_due(event))


def _met(event: Received[SlaClockMet]) -> Row:
    course = _course(event, "met", event.data.stopped_at, event.data.remaining_seconds)
    return _clock(event, **course, **_breach(event, None))


def _stopped(event: Received[SlaClockStopped]) -> Row:
    return _clock(event, **_course(event, "stopped", event.data.stopped_at, -event.data.late_seconds))


def _task(event: Received[Any], **columns: Any) -> Row:
    data = event.data
    status = {
        "status": data.status,
        "status_at": event.occurred_at,
        "tracker_status": None,
        "reason": None,
        "fix_version": None,
        "status_sequence": event.sequence,
    }
    fixed = {"id": data.task_id, "ticket_id": data.ticket_id, "escalation_id": data.escalation_id}
    return {**fixed, **status, **columns}


def _linked(event: Received[DevTaskLinked]) -> Row:
    link = event.data.model_dump(include={"tracker", "external_id", "display_id", "url"})
    return _task(event, **link, link_sequence=event.sequence)


def _status_changed(event: Received[DevTaskStatusChanged]) -> Row:
    return _task(event, **event.data.model_dump(include={"tracker_status", "reason", "fix_version"}))


@asynccontextmanager
async def _with_the_queue(tx: Transaction, tables: Collection[str]) -> AsyncIterator[None]:
    """The queue follows from tickets and clocks: whoever puts clocks right puts it right.

    Tickets are locked before their clocks, as everybody does it: whatever is told of one meanwhile waits.
    """
    locked = await repository.lock_every_open(tx) if CLOCK.table in tables else []
    yield
    await repository.refresh_open(tx, locked)


PROJECTIONS = Projections(
    "tickets",
    {
        ClientRecorded: (CLIENT, _client),
        ProductRecorded: (PRODUCT, _product),
        ModuleRecorded: (MODULE, _module),
        InstallationRecorded: (INSTALLATION, _installation),
        ContractRecorded: (CONTRACT, _contract),
        EnvironmentResolved: (ENVIRONMENT, _environment),
        EnvironmentUnknown: (ENVIRONMENT, _environment),
        SlaClockStarted: (CLOCK, _started),
        SlaClockPaused: (CLOCK, _paused),
        SlaClockResumed: (CLOCK, _resumed),
        SlaClockWarned: (CLOCK, _warned),
        SlaClockBreached: (CLOCK, _breached),
        SlaClockMet: (CLOCK, _met),
        SlaClockStopped: (CLOCK, _stopped),
        DevTaskLinked: (TASK, _linked),
        DevTaskStatusChanged: (TASK, _status_changed),
    },
    putting_right=_with_the_queue,
)


async def apply(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Applies events of any of the known types, in any order and any number of times; one statement per table.

    The tickets that are told about are locked before, in the order of their ids. So what is told of a ticket enters its
    history (`commands.record_reactions`) in the order of commits, as what people do enters it; and what clocks say
    moves their tickets in the queue: a command on the same ticket waits for this, or this for the command, and whoever
    comes later sees both.
    """
    rows = PROJECTIONS.rows_of(events)
    if events[0].replayed:
        await PROJECTIONS.write(tx, rows, replayed=True)
        return
    told_of = {row["ticket_id"] for table in rows.values() for row in table if "ticket_id" in row}
    locked = await repository.lock_tickets(tx, told_of) if told_of else []
    await PROJECTIONS.write(tx, rows)
    timed = {row["ticket_id"] for row in rows.get(CLOCK.table, ())}
    await repository.refresh_open(tx, timed.intersection(locked))
