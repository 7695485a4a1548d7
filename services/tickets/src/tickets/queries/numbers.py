"""Finds a ticket by its number."""

from __future__ import annotations

from uuid import UUID

from shared.db.statement import query
from shared.db.transaction import Reader
from tickets.domain.ticket import TicketNotFound

_ID_OF = query("SELECT id FROM tickets.tickets WHERE number = :number")


async def id_of(connection: Reader, number: str) -> UUID:
    """The id of the ticket with this number. Raises TicketNotFound."""
    found: UUID | None = await connection.fetch_value(_ID_OF, {"number": number})
    if found is None:
        raise TicketNotFound(f"there is no ticket {number}: look it up with GET /v1/tickets?q=…")
    return found
