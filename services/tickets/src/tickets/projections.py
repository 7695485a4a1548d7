"""Replicas and read models: `apply(tx, events)` is idempotent and gives the same result in any order of events.

Nothing here writes history, outbox or the ticket itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from shared import clock
from shared.contracts.devlink import DevTaskEvent, TaskBrief
from shared.contracts.envelope import Received, StateRecord
from shared.contracts.inventory import (
    ClientRecorded,
    EnvironmentResolved,
    EnvironmentUnknown,
    InstallationRecorded,
    ModuleRecorded,
    ProductRecorded,
)
from shared.contracts.sla import (
    CalendarRecorded,
    ClockEvent,
    ClockState,
    ContractRecorded,
    ContractTypeRecorded,
    ContractVersion,
)
from shared.contracts.topics import DEVLINK, SLA
from shared.db.transaction import Transaction
from shared.projection import Projection, Projections, Row
from shared.spelling import search_key, sort_key
from tickets.domain.contract import promised_s1_seconds
from tickets.repository import queue


def _record(table: str, *columns: str) -> Projection:
    return Projection(table, key=("id",), groups={"sequence": (*columns, "retired")})


CLIENT = _record("clients", "name", "name_key", "tax_id", "tax_key", "tier", "city", "contact", "phone")
PRODUCT = _record("products", "name")
MODULE = _record("modules", "name", "product_id", "nature", "client_id")
INSTALLATION = _record("installations", "client_id", "product_id", "product_version", "modules")
CONTRACT = _record("contracts", "client_id", "versions")
CONTRACT_TYPE = _record("contract_types", "name", "version", "terms")
CALENDAR = _record("calendars", "calendar_id", "version", "name", "effective_from", "calendar")
ENVIRONMENT = Projection("environments", key=("ticket_id", "classification"), groups={"sequence": ("state", "data")})
CLOCK = Projection(
    "clocks",
    key=("id",),
    fixed=("ticket_id", "kind", "cycle"),
    groups={"sequence": tuple(one for one in ClockState.model_fields if one not in ("clock_id", "kind", "cycle"))},
)
TASK = Projection(
    "tasks",
    key=("ticket_id", "id"),
    fixed=("escalation_id",),
    groups={"sequence": tuple(one for one in TaskBrief.model_fields if one != "task_id")},
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
    return {**_state(event, "client_id"), "versions": [_version(one) for one in event.data.versions]}


def _version(version: ContractVersion) -> dict[str, Any]:
    """What of a version is read here: every opening reads those of its client."""
    terms = version.terms.model_dump(include={"reporting_calendar", "reopen_days", "objection_days"})
    promised = promised_s1_seconds(version.terms.targets)
    return {**version.model_dump(mode="json", exclude={"terms"}), **terms, "promised_s1_seconds": promised}


def _contract_type(event: Received[ContractTypeRecorded]) -> Row:
    return _state(event, "name", "version", "terms")


def _calendar(event: Received[CalendarRecorded]) -> Row:
    return _state(event, "calendar_id", "version", "name", "effective_from", "calendar")


def _environment(event: Received[EnvironmentResolved | EnvironmentUnknown]) -> Row:
    state = "resolved" if isinstance(event.data, EnvironmentResolved) else "unknown"
    data = event.data.model_dump(mode="json", exclude={"ticket_id"})
    key = {"ticket_id": event.data.ticket_id, "classification": event.data.classification}
    return {**key, "state": state, "data": data, "sequence": event.sequence}


def _clock(event: Received[ClockEvent]) -> Row:
    state = event.data.clock.model_dump(mode="json")
    return {"id": state.pop("clock_id"), "ticket_id": event.data.ticket_id, **state, "sequence": event.sequence}


def _task(event: Received[DevTaskEvent]) -> Row:
    brief = event.data.task.model_dump(mode="json")
    about = {"ticket_id": event.data.ticket_id, "escalation_id": event.data.escalation_id}
    return {"id": brief.pop("task_id"), **about, **brief, "sequence": event.sequence}


@asynccontextmanager
async def _with_the_queue(tx: Transaction, tables: Collection[str]) -> AsyncIterator[None]:
    """The queue follows from tickets and clocks: whoever puts clocks right puts it right.

    Tickets are locked before their clocks, as everybody does it: whatever is told of one meanwhile waits. So does
    whoever reopens one, or it would come back to the queue where its clocks had it before.
    """
    locked: list[UUID] = []
    if CLOCK.table in tables:
        locked = await queue.lock_every_open(tx, clock.now())
    yield
    await queue.refresh_open(tx, locked)


PROJECTIONS = Projections(
    "tickets",
    {
        ClientRecorded: (CLIENT, _client),
        ProductRecorded: (PRODUCT, _product),
        ModuleRecorded: (MODULE, _module),
        InstallationRecorded: (INSTALLATION, _installation),
        ContractRecorded: (CONTRACT, _contract),
        ContractTypeRecorded: (CONTRACT_TYPE, _contract_type),
        CalendarRecorded: (CALENDAR, _calendar),
        EnvironmentResolved: (ENVIRONMENT, _environment),
        EnvironmentUnknown: (ENVIRONMENT, _environment),
        **dict.fromkeys(SLA.events, (CLOCK, _clock)),
        **dict.fromkeys(DEVLINK.events, (TASK, _task)),
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
    # Of the events, not of the rows: of two that are told of one clock or task, one row is written, and both are kept.
    told_of = {event.data.ticket_id for event in events if not isinstance(event.data, StateRecord)}
    locked = await queue.lock_tickets(tx, told_of) if told_of else []
    await PROJECTIONS.write(tx, rows)
    timed = {row["ticket_id"] for row in rows.get(CLOCK.table, ())}
    await queue.refresh_open(tx, timed.intersection(locked))
