"""What time is to do to tickets: found by its instant, and locked for one worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.db.statement import Statement, query, sql
from shared.db.transaction import Transaction

# The names of the jobs, by which what cannot be done is set aside.
HOLDS_JOB, CLOSING_JOB = "tickets-holds", "tickets-closing"


def _claim(due: str, order: str) -> Statement:
    """Locks tickets that are due and not set aside, the longest first; passes over what others hold."""
    return sql(f"""
        SELECT t.id FROM tickets.tickets t
         WHERE {due}
           AND NOT EXISTS (SELECT FROM runtime.set_aside s WHERE s.job = :job AND s.key = CAST(t.id AS text))
         ORDER BY {order}, t.id LIMIT :portion FOR UPDATE OF t SKIP LOCKED
    """)  # noqa: S608 - written here


_CLAIM_HOLDS = _claim("t.wake_at <= :now", "t.wake_at")
_CLAIM_RESOLVED = _claim("t.status = 'resolved' AND t.resolved_at <= :now", "t.resolved_at")
_NEXT_HOLD = query("SELECT min(wake_at) FROM tickets.tickets WHERE wake_at IS NOT NULL")
_IS_THERE = sql("SELECT 1 FROM tickets.tickets WHERE id = CAST(:id AS uuid)")


async def claim_holds(tx: Transaction, now: datetime, portion: int) -> Sequence[UUID]:
    """Tickets whose hold ends by itself and has come to its end."""
    return [row.id for row in await tx.fetch(_CLAIM_HOLDS, {"now": now, "portion": portion, "job": HOLDS_JOB})]


async def claim_resolved(tx: Transaction, before: datetime, portion: int) -> Sequence[UUID]:
    """Tickets that were resolved until an instant and are not closed."""
    wanted = {"now": before, "portion": portion, "job": CLOSING_JOB}
    return [row.id for row in await tx.fetch(_CLAIM_RESOLVED, wanted)]


async def next_hold(tx: Transaction) -> datetime | None:
    """The instant at which the next hold ends by itself."""
    found: datetime | None = await tx.fetch_value(_NEXT_HOLD)
    return found


async def leave_to_an_operator(_tx: Transaction, _id: UUID) -> None:
    """A ticket that is set aside is passed over for as long as it is: nothing is to be done to it."""


async def is_there(tx: Transaction, id: str, _now: datetime) -> bool:
    """Whether there still is such a ticket; its job finds it again once it is no longer set aside."""
    return await tx.fetch_value(_IS_THERE, {"id": id}) is not None
