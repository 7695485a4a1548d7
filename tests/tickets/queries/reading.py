"""What a reader gets: a ticket's view and whole lists, each checked against the model that describes it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.http.permissions import permissions_of
from tests.support.databases import Database
from tests.tickets.desk import NOW
from tickets.queries import lists, tickets
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import Sort
from tickets.queries.rows import TicketRow
from tickets.queries.tickets import TicketForCaller


async def view(database: Database, ticket_id: UUID, now: datetime = NOW) -> dict[str, Any]:
    """The whole view as a supervisor gets it; it must be what the documented model says, field by field."""
    async with database.begin() as tx:
        version, written = await tickets.view_ticket(tx, ticket_id, now, permissions_of(["supervisor"]))
    found: dict[str, Any] = json.loads(written)
    described = TicketForCaller.model_validate_json(written)
    assert set(described.model_dump()) == set(found)
    assert described.version == version
    return found


async def everything(
    database: Database, wanted: TicketFilter, sort: Sort = "opened", limit: int = 50
) -> list[dict[str, Any]]:
    """All pages of a list, one after the other."""
    found: list[dict[str, Any]] = []
    after: tuple[Any, ...] | None = None
    while True:
        async with database.begin() as tx:
            page = await lists.list_tickets(tx, wanted, sort=sort, after=after, limit=limit, now=NOW)
        for *_, row in page:
            assert set(TicketRow.model_validate_json(row).model_dump()) == set(json.loads(row))
            found.append(json.loads(row))
        if len(page) < limit:
            return found
        assert len(found) < 1000, "the pages do not end"
        after = page[-1][:-1]


async def numbers(database: Database, wanted: TicketFilter, sort: Sort = "opened", limit: int = 50) -> list[str]:
    """The numbers of all tickets of a list."""
    return [row["number"] for row in await everything(database, wanted, sort, limit)]
