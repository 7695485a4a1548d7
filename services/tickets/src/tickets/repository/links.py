"""Links between tickets: which there are, made and ended; a ticket by its id or its number."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from shared.contracts.envelope import Cause
from shared.db.statement import query, sql
from shared.db.transaction import Transaction
from tickets.domain.grouping import UnknownReference
from tickets.domain.link import Link
from tickets.domain.number import number_in
from tickets.repository.numbers import id_of

_BY_ID = query("SELECT id FROM tickets.tickets WHERE id = CAST(:named AS uuid)")
_PRESENT = query("""
    SELECT id, kind, from_id, to_id FROM tickets.links
     WHERE unlinked_at IS NULL AND (from_id = ANY(CAST(:ids AS uuid[])) OR to_id = ANY(CAST(:ids AS uuid[])))
     ORDER BY id
""")
# UNION drops what was found before, so it ends whatever is stored.
_ORIGINALS = query("""
    WITH RECURSIVE originals AS (
        SELECT CAST(:id AS uuid) AS id
        UNION
        SELECT l.to_id FROM tickets.links l JOIN originals o ON l.from_id = o.id
         WHERE l.kind = 'duplicate_of' AND l.unlinked_at IS NULL)
    SELECT id FROM originals WHERE id <> :id
""")
_MAKE = sql("""
    INSERT INTO tickets.links (id, kind, from_id, to_id, linked_at, linked_by, reason)
    VALUES (:id, :kind, :from_id, :to_id, :at, :actor, :reason)
""")
_END = sql("UPDATE tickets.links SET unlinked_at = :at, unlinked_by = :actor WHERE id = :id")


async def find_ticket(tx: Transaction, named: str) -> UUID:
    """The id of a ticket that is named by it, or by its number: `42`, `t-42` and `T-000042` are the same.

    Raises UnknownReference.
    """
    number = number_in(named)
    found: UUID | None
    found = await id_of(tx, number) if number else await tx.fetch_value(_BY_ID, {"named": UUID(named)})
    if found is None:
        raise UnknownReference(f"there is no ticket {named}: look it up with GET /v1/tickets?q=…", field="other")
    return found


async def read_links(tx: Transaction, ids: Collection[UUID]) -> list[Link]:
    """Every link that there is of these tickets. Lock both before: nobody else links either meanwhile."""
    rows = await tx.fetch(_PRESENT, {"ids": sorted(ids)})
    return [Link(row.kind, row.from_id, row.to_id, row.id) for row in rows]


async def read_originals(tx: Transaction, id: UUID) -> frozenset[UUID]:
    """What a ticket is a duplicate of, what that is one of, and so on."""
    return frozenset(row.id for row in await tx.fetch(_ORIGINALS, {"id": id}))


async def make_link(tx: Transaction, cause: Cause, made: Link, reason: str | None) -> None:
    """Stores a new link: who made it, when and why."""
    ends = {name: getattr(made, name) for name in ("id", "kind", "from_id", "to_id")}
    await tx.write(_MAKE, ends | {"at": cause.recorded_at, "actor": cause.actor, "reason": reason})


async def end_link(tx: Transaction, cause: Cause, ended: Link) -> None:
    """Ends a link; it stays, with who ended it and when. Why is in the history of both tickets."""
    await tx.write(_END, {"id": ended.id, "at": cause.recorded_at, "actor": cause.actor})
