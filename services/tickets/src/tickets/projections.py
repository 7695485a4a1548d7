"""Replicas and read models: `apply(tx, events)` is idempotent and gives the same result in any order of events.

A row consists of groups of columns; each group keeps the sequence of the event that wrote it, and only a higher one may
write it again. So doubled, delayed and shuffled events end in equal rows. Nothing here writes history, outbox or the
ticket itself.
"""

# ruff: noqa: S608 - every name that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Event, Received
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
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.spelling import search_key, sort_key
from tickets import repository

Row = dict[str, Any]


@dataclass(frozen=True)
class Projection:
    """One table. `groups` maps a sequence column to the columns that are written together with it."""

    table: str
    key: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    fixed: tuple[str, ...] = ()

    def upsert(self) -> str:
        """The statement that applies a JSON array of rows: a group is written only by a higher sequence."""
        columns = [*self.key, *self.fixed, *(one for name, group in self.groups.items() for one in (*group, name))]
        listed = ", ".join(columns)
        newer = {name: f"excluded.{name} > kept.{name}" for name in self.groups}
        written = ", ".join(
            f"{column} = CASE WHEN {newer[name]} THEN excluded.{column} ELSE kept.{column} END"
            for name, group in self.groups.items()
            for column in (*group, name)
        )
        return (
            f"INSERT INTO tickets.{self.table} AS kept ({listed}) "
            f"SELECT {listed} FROM jsonb_populate_recordset(NULL::tickets.{self.table}, CAST(:rows AS jsonb)) "
            f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {written} WHERE {' OR '.join(newer.values())}"
        )

    def fold(self, rows: Iterable[Row]) -> list[Row]:
        """One row per key by the same rule, as a statement may not write a row twice; ordered by key."""
        folded: dict[tuple[str, ...], Row] = {}
        for row in rows:
            kept = folded.setdefault(
                tuple(str(row[name]) for name in self.key),
                {**{name: row[name] for name in (*self.key, *self.fixed)}, **dict.fromkeys(self.groups, 0)},
            )
            for name, group in self.groups.items():
                if row.get(name, 0) > kept[name]:
                    kept.update({column: row[column] for column in (*group, name)})
        return [folded[key] for key in sorted(folded)]


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
        "warned_sequence": ("warned_percent",),
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


def _paused(event: Received[SlaClockPaused]) -> Row:
    data = event.data
    return _clock(event, **_course(event, "paused", data.paused_at, data.remaining_seconds, data.reason))


def _resumed(event: Received[SlaClockResumed]) -> Row:
    return _clock(event, **_course(event, "running", event.data.resumed_at, None), **_due(event))


def _warned(event: Received[SlaClockWarned]) -> Row:
    return _clock(event, warned_percent=event.data.percent, warned_sequence=event.sequence, **_due(event))


def _breached(event: Received[SlaClockBreached]) -> Row:
    return _clock(event, breached_at=event.data.breached_at, breach_sequence=event.sequence, **_due(event))


def _met(event: Received[SlaClockMet]) -> Row:
    return _clock(event, **_course(event, "met", event.data.stopped_at, event.data.remaining_seconds))


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


ROWS: Mapping[type[Event], tuple[Projection, Callable[[Received[Any]], Row]]] = {
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
}

_UPSERTS = {one.table: sql(one.upsert()) for one, _ in ROWS.values()}


async def apply(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Applies events of any of the known types, in any order and any number of times; one statement per table.

    What clocks say also moves their tickets in the queue, which are locked before: a command on the same ticket waits
    for this, or this for the command, and whoever comes later sees both.
    """
    found: dict[str, tuple[Projection, list[Row]]] = {}
    for event in events:
        projection, row_of = ROWS[type(event.data)]
        found.setdefault(projection.table, (projection, []))[1].append(row_of(event))
    timed = {row["ticket_id"] for row in found.get(CLOCK.table, (CLOCK, []))[1]}
    locked = await repository.lock_tickets(tx, timed) if timed else []
    # In one order, whatever the order of the events: few combinations to prepare, and locks taken the same way.
    for table, upsert in _UPSERTS.items():
        if table in found:
            projection, rows = found[table]
            await tx.write(upsert, {"rows": json.dumps(projection.fold(rows), default=str)})
    await repository.refresh_open(tx, locked)
