"""A desk for the tests: reference data, causes, and what other services would tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count, groupby
from typing import Any
from uuid import UUID

import asyncpg

from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from shared.contracts.envelope import Cause, Event, Received
from shared.contracts.inventory import ClientRecorded, InstallationRecorded, ModuleRecorded, ProductRecorded
from shared.contracts.sla import (
    CalendarRecorded,
    ContractRecorded,
    ContractTypeRecorded,
    ContractVersion,
    TargetRule,
    Terms,
)
from shared.contracts.tickets import ImpactAnswers
from shared.contracts.topics import topic_of
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.messaging.reactions import collect
from tests.support.databases import Database
from tests.support.urgency import impact_of
from tickets import projections, subscribers
from tickets.commands import tickets as commands
from tickets.commands.tickets import Done, OpenTicket
from tickets.domain.states import CONDITIONS
from tickets.domain.urgency import Stated
from tickets.repository.people import store_people

NOW = datetime(2026, 11, 2, 14, 3, 0, 250_000, tzinfo=UTC)
HOUR = 3600
_sequences = count(1)


def cause(at: datetime = NOW, *, actor: str = "ana") -> Cause:
    """What a request of a representative causes."""
    return Cause(actor=actor, occurred_at=at, recorded_at=at, correlation_id="req-1")


def received(data: Event, *, sequence: int | None = None, at: datetime = NOW, id: UUID | None = None) -> Received[Any]:
    """An event as the consumer would hand it over; later calls have higher sequences."""
    owner = topic_of(type(data)).owner
    return Received(
        id=id or new_id(),
        source=f"/desk/{owner}",
        type=data.type,
        subject=data.subject(),
        key=data.key(),
        sequence=sequence if sequence is not None else next(_sequences),
        occurred_at=at,
        recorded_at=at + timedelta(milliseconds=40),
        origin="live",
        actor=f"system:{owner}",
        correlation_id="req-1",
        causation_id="0199",
        traceparent=None,
        data=data,
    )


def terms(s1_hours: int, **changes: Any) -> Terms:
    """What is promised: an hour to answer, so many to resolve what is S1."""
    targets = (
        TargetRule(clock="response", seconds=HOUR, calendar_id="24x7"),
        TargetRule(clock="resolution", seconds=s1_hours * HOUR, calendar_id="24x7", severities=(1,)),
    )
    usual: dict[str, Any] = {"reporting_calendar": "comercial", "reopen_days": 5, "objection_days": 3}
    return Terms(targets=targets, **(usual | changes))


def contract(
    id: str, client: str, type: Any, s1_hours: int, *, retired: bool = False, **changes: Any
) -> ContractRecorded:
    """A contract of one version, which is as old as it."""
    usual: dict[str, Any] = {"valid_from": NOW - timedelta(days=100), "terms": terms(s1_hours)}
    given = usual | changes
    version = ContractVersion(version=1, contract_type=type, effective_from=given["valid_from"], **given)
    return ContractRecorded(id=id, client_id=client, versions=(version,), retired=retired)


def calendar(id: str, version: int = 1, *, effective_from: datetime | None = None, **written: Any) -> CalendarRecorded:
    """A version of a calendar; whoever needs another one takes another id, as a process keeps what it has read."""
    zone = {"timezone": "America/Argentina/Buenos_Aires"}
    return CalendarRecorded(
        id=f"{id}-v{version}", calendar_id=id, version=version, name=id.title(), effective_from=effective_from,
        calendar=WrittenCalendar(**(zone | written)),
    )  # fmt: skip


_DAY, _OFFICE = (("00:00", "24:00"),), (("09:00", "18:00"),)
ALWAYS = WrittenWeek(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), _DAY))
WEEKDAYS = WrittenWeek(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), _OFFICE))
# A Monday, and a Tuesday.
HOLIDAYS = (date(2026, 11, 23), date(2026, 12, 8))


REFERENCE: tuple[Event, ...] = (
    ClientRecorded(
        id="molinos", name="Molinos del Paraná", tax_id="30-11111111-1", tier="oro", city="Rosario",
        contact="Marta Giménez", phone="+54 341 555 0101",
    ),
    ClientRecorded(id="aguero", name="Agüero Hermanos", tier="plata"),
    ClientRecorded(id="sin-contrato", name="Bodega Sin Contrato", tier="platino"),
    ClientRecorded(id="cerrado", name="Molino Cerrado", tier="oro", retired=True),
    ProductRecorded(id="gestion", name="PSA Gestión"),
    ProductRecorded(id="sueldos", name="PSA Sueldos"),
    ModuleRecorded(id="facturacion", name="Facturación", product_id="gestion", nature="standard"),
    ModuleRecorded(
        id="balanza", name="Balanza de camiones", product_id="gestion", nature="customised", client_id="molinos"
    ),
    InstallationRecorded(
        id="molinos-gestion", client_id="molinos", product_id="gestion", product_version="8.2.1",
        modules=("facturacion", "balanza"),
    ),
    calendar("24x7", weekly=ALWAYS),
    calendar("comercial", weekly=WEEKDAYS, holidays=HOLIDAYS),
    ContractTypeRecorded(id="basico", name="Básico", version=1, terms=terms(32)),
    contract("c-molinos", "molinos", "oro", 8),
    contract("c-aguero", "aguero", "plata", 16),
    contract("c-aguero-2025", "aguero", "platino", 2, valid_until=NOW - timedelta(days=1)),
)  # fmt: skip


# Who works here, beside whoever calls over HTTP.
PEOPLE = ("bruno", "carla", "dario", "eva", "ines", "martin", "sofia", "zoe")


async def fill_replicas(database: Database, people: Sequence[str] = ()) -> None:
    """The reference data that inventory and sla would have told, and people, of whom nothing is told here."""
    async with database.begin() as tx:
        await projections.apply(tx, [received(one) for one in REFERENCE])
        if people:
            await store_people(tx, cause(), [{"id": one, "name": one.title()} for one in people])


def a_call(*, severity: int = 2, **changes: Any) -> OpenTicket:
    """What a representative registers, with this severity."""
    usual: dict[str, Any] = {
        "client_id": "molinos",
        "kind": "incident",
        "urgency": Stated(ImpactAnswers(**impact_of(severity))),
        "title": "No se pueden emitir facturas",
        "description": "Error al pedir el CAE",
        "module_id": "facturacion",
        "reporter": "Marta Giménez",
    }
    return OpenTicket(**(usual | changes))


async def open_one(database: Database, at: datetime = NOW, **changes: Any) -> Done:
    """A ticket that was opened and committed."""
    async with database.begin() as tx:
        return await commands.open_ticket(tx, cause(at), a_call(**changes))


REACTIONS = collect(subscribers)


async def deliver(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Events as the consumer hands them to whatever this service does about them: the projection, then the reaction."""
    for function, run in groupby(events, lambda event: REACTIONS.by_type[event.type].function):
        await function(tx, list(run))


async def rows(tx: Transaction, query: str, **values: Any) -> list[dict[str, Any]]:
    """The rows of a query, as dictionaries."""
    return [dict(row) for row in await tx.fetch(sql(query), values)]


async def allow_any_state(owner: asyncpg.Connection) -> None:
    """Lets the tickets of a test's own database be what no action makes of one: lists are asked for any combination."""
    for name in CONDITIONS:
        await owner.execute(f"ALTER TABLE tickets.tickets DROP CONSTRAINT {name}")
