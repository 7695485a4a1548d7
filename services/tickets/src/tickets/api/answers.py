"""What every door of tickets shares: bodies that know their fields, pages, and answers that PostgreSQL has written."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.tickets import Status, Target
from shared.http.etag import etag_of
from shared.http.idempotency import Idempotency
from shared.http.paging import Keyset
from tickets.commands.tickets import Done


class Body(BaseModel):
    """What a caller sends; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class TicketChanged(BaseModel):
    """What an action left. The whole ticket is at GET /v1/tickets/{id}."""

    id: UUID
    number: str
    version: int
    status: Status
    severity: int
    priority: int
    immediate: bool
    level: int
    target: Target | None
    team: str | None
    owner: str
    assignee: str | None
    facts: list[UUID] = Field(description="the ids of the facts that this request added to the history")


def changed(done: Done) -> TicketChanged:
    """What a command left, as its answer says it."""
    ticket = done.ticket
    return TicketChanged(
        id=ticket.id,
        number=ticket.number,
        version=ticket.version,
        status=ticket.status,
        severity=ticket.opening.severity,
        priority=ticket.opening.priority,
        immediate=ticket.is_immediate,
        level=ticket.level,
        target=ticket.target,
        team=ticket.team,
        owner=ticket.owner,
        assignee=ticket.assignee,
        facts=list(done.facts),
    )


async def answer_done(idempotency: Idempotency, done: Done) -> Response:
    """The answer of an action, and the new version."""
    return await idempotency.answer(changed(done), version=done.ticket.version)


def page(keyset: Keyset, rows: Sequence[tuple[Any, ...]], limit: int, **beside: str) -> Response:
    """A page of rows whose last column is their JSON; the columns before it are the sort values.

    `beside` is what else the page says.
    """
    found = keyset.page(rows, limit, lambda row: row[:-1])
    items = ",".join(row[-1] for row in found.items)
    about = json.dumps({"next": found.next, "limit": limit, **beside})
    return written_by_the_database(f'{{"items":[{items}],{about[1:]}')


def written_by_the_database(body: str, **headers: str) -> Response:
    """An answer that PostgreSQL has written. It is personal, so nothing on the way may keep it."""
    return Response(body, media_type="application/json", headers={"cache-control": "no-store", **headers})


def record(version: int, body: str) -> Response:
    """An answer about one record, with its version."""
    return written_by_the_database(body, etag=etag_of(version))
