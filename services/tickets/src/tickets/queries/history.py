"""Reads the history of a ticket: page by page as it was recorded, and its last part for the ticket's view."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.envelope import Origin
from shared.db.statement import sql
from shared.db.transaction import Reader
from tickets.domain.ticket import TicketNotFound
from tickets.queries.written import View, array_of, object_of

# So many of the facts that were recorded last are part of a ticket's view.
SHOWN = 200


class HistoryEntry(View):
    """One fact, whoever told it; `type` and `data` are those of the event in the published language."""

    position: int
    fact_id: UUID
    type: str
    source: str
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    actor: str
    origin: Origin
    correlation_id: str
    causation_id: str | None
    corrects: UUID | None
    changes: dict[str, list[Any]] | None = Field(
        description="each part of the ticket that the fact changed: what it was, and what it is"
    )
    data: dict[str, Any]


_ENTRY = object_of(HistoryEntry, "h")

# Of the ticket `t` of a statement. Which facts are shown goes by recording, so that the index finds them; their order
# goes by when they happened.
LAST = array_of(
    _ENTRY,
    "h.occurred_at, h.position",
    f"""(SELECT * FROM tickets.history last WHERE last.ticket_id = t.id
          ORDER BY last.position DESC LIMIT {SHOWN}) h""",
)
MORE = f"""EXISTS (SELECT FROM tickets.history earlier WHERE earlier.ticket_id = t.id
    ORDER BY earlier.position DESC OFFSET {SHOWN} LIMIT 1)"""

# Written are the entries of the page and no others: what is sorted and limited outside would be written before.
_PAGE = """
SELECT h.position, {entry}::text AS entry
  FROM tickets.tickets t LEFT JOIN LATERAL (
       SELECT * FROM tickets.history h WHERE h.ticket_id = t.id {after} ORDER BY h.position LIMIT :limit) h ON true
 WHERE t.id = :id ORDER BY h.position
"""
_FIRST = sql(_PAGE.format(entry=_ENTRY, after=""))
_NEXT = sql(_PAGE.format(entry=_ENTRY, after="AND h.position > :after"))


async def page_history(connection: Reader, id: UUID, *, after: tuple[int] | None, limit: int) -> list[tuple[int, str]]:
    """At most `limit` entries of a ticket's history as (position, JSON), in the order in which they were recorded.

    By the time of the facts, one that is told late would stand on a page that was read already. Raises TicketNotFound.
    """
    values: dict[str, Any] = {"id": id, "limit": limit}
    if after is None:
        rows = await connection.fetch(_FIRST, values)
    else:
        rows = await connection.fetch(_NEXT, values | {"after": after[0]})
    if not rows:
        raise TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")
    return [(row.position, row.entry) for row in rows if row.position is not None]
