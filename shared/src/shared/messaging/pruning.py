"""Deleting what has served its time, in small portions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PORTION = 5000

_INBOX = text("""
    DELETE FROM runtime.inbox WHERE id IN
        (SELECT id FROM runtime.inbox WHERE applied_at < :before ORDER BY applied_at LIMIT :portion)
""")
_ANSWERS = text("""
    DELETE FROM runtime.idempotency WHERE (caller, route, key) IN
        (SELECT caller, route, key FROM runtime.idempotency
         WHERE answered_at < :before ORDER BY answered_at LIMIT :portion)
""")


async def prune_inbox(tx: AsyncConnection, now: datetime, *, keep: timedelta) -> int:
    """Forgets ids that no topic can deliver again. Returns how many."""
    return (await tx.execute(_INBOX, {"before": now - keep, "portion": PORTION})).rowcount


async def prune_answers(tx: AsyncConnection, now: datetime, *, keep: timedelta) -> int:
    """Forgets answers that no caller may ask for again. Returns how many."""
    return (await tx.execute(_ANSWERS, {"before": now - keep, "portion": PORTION})).rowcount
