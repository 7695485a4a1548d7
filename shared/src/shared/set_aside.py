"""Pieces of work that raised and were set aside, until an operator brings them back or gives them up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.db.statement import query, sql
from shared.db.transaction import Reader, Transaction

_KEEP = sql("""
    INSERT INTO runtime.set_aside AS kept (job, key, problem, set_aside_at) VALUES (:job, :key, :problem, :now)
    ON CONFLICT (job, key) DO UPDATE
    SET problem = excluded.problem, set_aside_at = excluded.set_aside_at, times = kept.times + 1
""")
_ALL = query("SELECT job, key, problem, times, set_aside_at FROM runtime.set_aside ORDER BY set_aside_at, job, key")
_FORGET = sql("DELETE FROM runtime.set_aside WHERE job = :job AND key = :key")


async def keep(tx: Transaction, job: str, key: str, problem: str, now: datetime) -> None:
    """Notes that a piece of a job's work was set aside, and why; the same again counts how often."""
    await tx.execute(_KEEP, {"job": job, "key": key, "problem": problem, "now": now})


async def all_of(tx: Reader) -> Sequence[Any]:
    """Everything that is set aside, the longest first."""
    return await tx.fetch(_ALL)


async def forget(tx: Transaction, job: str, key: str) -> bool:
    """Forgets one; False where it is not set aside."""
    return bool(await tx.execute(_FORGET, {"job": job, "key": key}))
