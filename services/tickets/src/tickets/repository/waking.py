"""What time is to do to tickets: found by its instant, and locked for one worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from shared.db.statement import Statement, query, sql
from shared.db.transaction import Transaction

# The names of the jobs, by which what cannot be done is set aside.
HOLDS_JOB, CLOSING_JOB = "tickets-holds", "tickets-closing"


# What is set aside waits for an operator, not for its hour.
_NOT_SET_ASIDE = "NOT EXISTS (SELECT FROM runtime.set_aside s WHERE s.job = :job AND s.key = CAST(t.id AS text))"


def _claim(due: str, order: str) -> Statement:
    """Locks tickets that are due and not set aside, the longest first; passes over what others hold."""
    return sql(f"""
        SELECT t.id FROM tickets.tickets t
         WHERE {due} AND {_NOT_SET_ASIDE}
         ORDER BY {order}, t.id LIMIT :portion FOR UPDATE OF t SKIP LOCKED
    """)  # noqa: S608 - written here


_CLAIM_HOLDS = _claim("t.wake_at <= :now", "t.wake_at")
_CLAIM_UNOPPOSED = _claim("t.closes_at <= :now", "t.closes_at")
_NEXT_HOLD = query(
    f"SELECT min(t.wake_at) FROM tickets.tickets t WHERE t.wake_at IS NOT NULL AND {_NOT_SET_ASIDE}"  # noqa: S608
)
_WAKING = query("SELECT id FROM tickets.tickets WHERE id = ANY(:ids) AND wake_at IS NOT NULL")
_IS_THERE = sql("SELECT 1 FROM tickets.tickets WHERE id = CAST(:id AS uuid)")


async def claim_holds(tx: Transaction, now: datetime, portion: int) -> Sequence[UUID]:
    """Tickets whose hold ends by itself and has come to its end."""
    return [row.id for row in await tx.fetch(_CLAIM_HOLDS, {"now": now, "portion": portion, "job": HOLDS_JOB})]


async def claim_unopposed(tx: Transaction, now: datetime, portion: int) -> Sequence[UUID]:
    """Tickets to whose resolution nobody has objected for as long as the contract says."""
    return [row.id for row in await tx.fetch(_CLAIM_UNOPPOSED, {"now": now, "portion": portion, "job": CLOSING_JOB})]


async def next_hold(tx: Transaction) -> datetime | None:
    """The instant at which the next hold ends by itself, of those that are not set aside."""
    found: datetime | None = await tx.fetch_value(_NEXT_HOLD, {"job": HOLDS_JOB})
    return found


async def waking(tx: Transaction, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these tickets whose hold ends by itself."""
    return {row.id for row in await tx.fetch(_WAKING, {"ids": sorted(set(ids))})}


async def leave_to_an_operator(_tx: Transaction, _id: UUID) -> None:
    """A ticket that is set aside is passed over for as long as it is: nothing is to be done to it."""


async def is_there(tx: Transaction, id: str, _now: datetime) -> bool:
    """Whether there still is such a ticket; its job finds it again once it is no longer set aside."""
    return await tx.fetch_value(_IS_THERE, {"id": id}) is not None
