"""Deleting what has served its time, in small portions."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.db.statement import sql
from shared.db.transaction import Transaction

PORTION = 5000

_INBOX = sql("""
    DELETE FROM runtime.inbox WHERE id IN
        (SELECT id FROM runtime.inbox WHERE applied_at < :before ORDER BY applied_at LIMIT :portion)
""")
_ANSWERS = sql("""
    DELETE FROM runtime.idempotency WHERE (caller, route, key) IN
        (SELECT caller, route, key FROM runtime.idempotency
         WHERE answered_at < :before ORDER BY answered_at LIMIT :portion)
""")
_PAYLOADS = sql("""
    UPDATE runtime.parked SET value = NULL, raw_key = NULL, headers = CAST('[]' AS bytea), erased_at = :now WHERE id IN
        (SELECT id FROM runtime.parked WHERE state <> 'waiting' AND erased_at IS NULL AND ended_at < :before
         ORDER BY ended_at LIMIT :portion)
""")


async def prune_inbox(tx: Transaction, now: datetime, *, keep: timedelta) -> int:
    """Forgets ids that no topic can deliver again. Returns how many."""
    return await tx.execute(_INBOX, {"before": now - keep, "portion": PORTION})


async def prune_answers(tx: Transaction, now: datetime, *, keep: timedelta) -> int:
    """Forgets answers that no caller may ask for again. Returns how many."""
    return await tx.execute(_ANSWERS, {"before": now - keep, "portion": PORTION})


async def erase_payloads(tx: Transaction, now: datetime, *, keep: timedelta) -> int:
    """Empties parked messages that were applied or given up: they may be personal. The line stays, with what became of
    it. Returns how many."""
    return await tx.execute(_PAYLOADS, {"before": now - keep, "now": now, "portion": PORTION})
