"""Escalations, a board, and what was published: the scene of the tests of devlink."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, TypeVar

from devlink import commands, subscribers
from devlink.settings import PublicAddress
from devlink.subscribers import create_task
from shared.contracts.devlink import TaskStatus
from shared.contracts.envelope import Cause, Origin, Received
from shared.contracts.tickets import EnvironmentBrief, Groups, Target, TicketEscalated, TicketEvent
from shared.db.statement import sql
from shared.ids import new_id
from shared.messaging.reactions import collect
from tests.support.briefs import ticket_brief
from tests.support.databases import Database

T = TypeVar("T", bound=TicketEvent)
AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
DUE = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)


def cause(**changes: Any) -> Cause:
    """A developer does something at a fixed instant."""
    given = {"actor": "nora", "occurred_at": AT, "recorded_at": AT, "correlation_id": "request-1", **changes}
    return Cause(**given)


def escalated(
    *,
    escalation: uuid.UUID | None = None,
    ticket: uuid.UUID | None = None,
    target: Target = "development",
    client: str | None = "arenales",
    severity: int = 2,
    priority: int = 3,
    number: int = 1,
    origin: Origin = "live",
) -> Received[TicketEscalated]:
    """A ticket was escalated, as the consumer hands it over."""
    ticket_id = ticket or new_id()
    brief = ticket_brief(
        number=f"T-{number:06d}", version=4, status="in_progress", level=3, target=target, severity=severity,
        priority=priority, groups=Groups(client_id=client, product_id="kontar", module_id="kontar-corte"),
    )  # fmt: skip
    data = TicketEscalated(
        ticket_id=ticket_id, ticket=brief, escalation_id=escalation or new_id(), from_level=2, to_level=3,
        target=target, reason="Se reproduce en la 7.4.2", title="La orden de corte sale en cero",
        description="Desde la actualización del lunes.", environment=EnvironmentBrief(
            installation_id="arenales-kontar", product_version="7.4.2", customised_modules=("kontar-corte",)
        ),
        resolution_due_at=DUE,
    )  # fmt: skip
    return received(data, origin=origin)


def received(data: T, *, sequence: int = 7, origin: Origin = "live") -> Received[T]:
    """What tickets told of a ticket, as the consumer hands it over."""
    return Received(
        id=new_id(), source="/desk/tickets", type=data.type, subject=data.subject(), key=data.key(), sequence=sequence,
        occurred_at=AT, recorded_at=AT, origin=origin, actor="leo", correlation_id="call-1", causation_id=None,
        traceparent=None, data=data,
    )  # fmt: skip


async def hear(database: Database, *events: Received[Any]) -> None:
    """What the consumer does with each of these, one after the other."""
    reactions = collect(subscribers)
    async with database.begin() as tx:
        for event in events:
            await reactions.by_type[event.type].function(tx, [event])


async def put_on_board(database: Database, *events: Received[TicketEscalated]) -> list[uuid.UUID]:
    """Lets devlink react to these escalations; the ids of their tasks, in the same order."""
    async with database.begin() as tx:
        await create_task(tx, events)
        rows = await tx.fetch(sql("SELECT escalation_id, id FROM devlink.tasks"))
    ids = {row.escalation_id: row.id for row in rows}
    return [ids[event.data.escalation_id] for event in events]


async def move(
    database: Database, id: uuid.UUID, to: TaskStatus, *, reason: str | None = None, fix_version: str | None = None
) -> None:
    """Somebody of Development moves a task."""
    async with database.begin() as tx:
        await commands.move_task(
            tx, cause(), id, to=to, reason=reason, fix_version=fix_version, address=PublicAddress()
        )


async def published(database: Database, type: str | None = None) -> list[dict[str, Any]]:
    """What left through the outbox so far, in order."""
    query = sql("""
        SELECT a.type, a.topic, a.key, a.subject, a.actor, a.correlation_id, a.causation_id, a.value
        FROM runtime.archive a JOIN runtime.outbox o USING (position)
        WHERE a.type = coalesce(:type, a.type) ORDER BY position
    """)
    async with database.begin() as tx:
        rows = await tx.fetch(query, {"type": type})
    return [{**row, "data": json.loads(row["value"])} for row in rows]
