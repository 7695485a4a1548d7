"""Escalations, a board, and what was published: the scene of the tests of devlink."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from devlink.subscribers import create_task
from shared.contracts.envelope import Cause, Origin, Received
from shared.contracts.tickets import EnvironmentBrief, Groups, Target, TicketEscalated
from shared.db.statement import sql
from shared.ids import new_id
from tests.support.databases import Database

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
    client: str = "arenales",
    severity: int = 2,
    priority: int = 3,
    number: int = 1,
    origin: Origin = "live",
) -> Received[TicketEscalated]:
    """A ticket was escalated, as the consumer hands it over."""
    ticket_id = ticket or new_id()
    data = TicketEscalated(
        ticket_id=ticket_id, number=f"T-{number:06d}", version=4, escalation_id=escalation or new_id(), from_level=2,
        to_level=3, target=target, reason="Se reproduce en la 7.4.2", kind="incident", severity=severity,
        groups=Groups(client_id=client, product_id="kontar", module_id="kontar-corte"), priority=priority,
        title="La orden de corte sale en cero", description="Desde la actualización del lunes.",
        environment=EnvironmentBrief(
            installation_id="arenales-kontar", product_version="7.4.2", customised_modules=("kontar-corte",)
        ),
        resolution_due_at=DUE,
    )  # fmt: skip
    return Received(
        id=new_id(), source="/desk/tickets", type=data.type, subject=str(ticket_id), key=str(ticket_id), sequence=7,
        occurred_at=AT, recorded_at=AT, origin=origin, actor="leo", correlation_id="call-1", causation_id=None,
        traceparent=None, data=data,
    )  # fmt: skip


async def put_on_board(database: Database, *events: Received[TicketEscalated]) -> list[uuid.UUID]:
    """Lets devlink react to these escalations; the ids of their tasks, in the same order."""
    async with database.begin() as tx:
        await create_task(tx, events)
        rows = await tx.fetch(sql("SELECT escalation_id, id FROM devlink.tasks"))
    ids = {row.escalation_id: row.id for row in rows}
    return [ids[event.data.escalation_id] for event in events]


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
