"""A small inventory, tickets that open, and what was published: the scene of the tests of inventory."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from inventory import commands
from inventory.documents import Document
from shared.contracts.envelope import Cause, Origin, Received
from shared.contracts.tickets import Groups, TicketBrief, TicketClassified, TicketOpened
from shared.db.statement import sql
from shared.ids import new_id
from tests.support.briefs import ticket_brief
from tests.support.databases import Database

AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)

# arenales has one installation, la-yapa two of different products, quimsa two of the same, runa none in use.
DOCUMENT: dict[str, list[dict[str, Any]]] = {
    "products": [{"id": "kontar", "name": "Kontar ERP"}, {"id": "nominar", "name": "Nominar Sueldos"}],
    "clients": [
        {"id": "arenales", "name": "Metalúrgica Arenales", "tier": "oro", "city": "Avellaneda", "phone": "+54 11 5555"},
        {"id": "la-yapa", "name": "Supermercados La Yapa", "tier": "platino"},
        {"id": "quimsa", "name": "Laboratorio Quimsa", "tier": "plata"},
        {"id": "runa", "name": "Tejidos Ñandú Runa", "tier": "basico"},
    ],
    "modules": [
        {"id": "kontar-stock", "name": "Stock", "product_id": "kontar", "nature": "standard"},
        {"id": "kontar-ventas", "name": "Ventas", "product_id": "kontar", "nature": "standard"},
        {"id": "nominar-legajos", "name": "Legajos", "product_id": "nominar", "nature": "standard"},
        {
            "id": "kontar-corte",
            "name": "Órdenes de corte",
            "product_id": "kontar",
            "nature": "customised",
            "client_id": "arenales",
        },
    ],
    "installations": [
        {
            "id": "arenales-kontar",
            "client_id": "arenales",
            "product_id": "kontar",
            "product_version": "7.4.2",
            "modules": {"kontar-stock": "7.4.2", "kontar-corte": "1.3.0"},
        },
        {"id": "la-yapa-kontar", "client_id": "la-yapa", "product_id": "kontar", "product_version": "7.3.9"},
        {"id": "la-yapa-nominar", "client_id": "la-yapa", "product_id": "nominar", "product_version": "2026.10"},
        {"id": "quimsa-pilar", "client_id": "quimsa", "product_id": "kontar", "product_version": "7.4.1"},
        {"id": "quimsa-garin", "client_id": "quimsa", "product_id": "kontar", "product_version": "7.3.9"},
        {
            "id": "runa-kontar",
            "client_id": "runa",
            "product_id": "kontar",
            "product_version": "5.0.0",
            "retired": True,
        },
    ],
}


def cause(**changes: Any) -> Cause:
    """Somebody of Implementations does something at a fixed instant."""
    given = {"actor": "irma", "occurred_at": AT, "recorded_at": AT, "correlation_id": "request-1", **changes}
    return Cause(**given)


async def furnish(database: Database) -> None:
    """Fills the inventory with the scene's document."""
    async with database.begin() as tx:
        await commands.load_document(tx, cause(), Document.model_validate(DOCUMENT))


def opened(
    client: str | None,
    *,
    product: str | None = None,
    installation: str | None = None,
    ticket: uuid.UUID | None = None,
    origin: Origin = "live",
) -> Received[TicketOpened]:
    """A ticket of a client has opened, as the consumer hands it over."""
    ticket_id = ticket or new_id()
    brief = ticket_brief(groups=Groups(client_id=client, product_id=product), installation_id=installation)
    data = TicketOpened(ticket_id=ticket_id, ticket=brief, title="No se puede facturar")
    return Received(
        id=new_id(), source="/desk/tickets", type=data.type, subject=str(ticket_id), key=str(ticket_id), sequence=1,
        occurred_at=AT, recorded_at=AT, origin=origin, actor="ana", correlation_id="call-1", causation_id=None,
        traceparent=None, data=data,
    )  # fmt: skip


def completed(
    event: Received[Any], version: int, *, product: str | None = None, installation: str | None = None
) -> Received[TicketClassified]:
    """The same ticket is completed: at this version it says this, beside what it said."""
    before: TicketBrief = event.data.ticket
    groups = before.groups.model_copy(update={"product_id": product or before.groups.product_id})
    which = installation or before.installation_id
    brief = before.model_copy(update={"version": version, "groups": groups, "installation_id": which})
    data = TicketClassified(
        ticket_id=event.data.ticket_id, ticket=brief, product_id=product, installation_id=installation
    )
    return replace(event, id=new_id(), type=data.type, sequence=event.sequence + version, data=data)


async def published(database: Database, type: str | None = None) -> list[dict[str, Any]]:
    """What left through the outbox so far, in order: type, topic, key, subject, actor, causation, data."""
    query = sql("""
        SELECT a.type, a.topic, a.key, a.subject, a.actor, a.origin, a.correlation_id, a.causation_id, a.value
        FROM runtime.archive a JOIN runtime.outbox o USING (position)
        WHERE a.type = coalesce(:type, a.type) ORDER BY position
    """)
    async with database.begin() as tx:
        rows = await tx.fetch(query, {"type": type})
    return [{**row, "data": json.loads(row["value"])} for row in rows]
