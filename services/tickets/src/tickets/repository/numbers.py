"""Finds a ticket by its number."""

from __future__ import annotations

from uuid import UUID

from shared.db.statement import query
from shared.db.transaction import Reader

_ID_OF = query("SELECT id FROM tickets.tickets WHERE number = :number")


async def id_of(reader: Reader, number: str) -> UUID | None:
    """The id of the ticket with this number; None where there is none."""
    found: UUID | None = await reader.fetch_value(_ID_OF, {"number": number})
    return found
