"""What a service has told of one of its records: the archive as the history of what it owns."""

from __future__ import annotations

from typing import Any

from shared.db.statement import query
from shared.db.transaction import Reader

MOST = 20

# The index is of records alone (`client:acme`): an event of a ticket must not pay for it.
_LAST = query("""
    SELECT id AS fact_id, type, occurred_at, actor FROM runtime.archive
    WHERE key = :key AND key LIKE '%:%' ORDER BY position DESC LIMIT :most
""")


async def changes_since(tx: Reader, record: str, *, seen: int, present: int) -> list[dict[str, Any]]:
    """What was told of a record (its key, such as `client:acme`) after version `seen` until `present`, oldest first.

    Each version of a record is told once, so the last ones are those; at most the newest MOST.
    """
    most = min(MOST, present - seen)
    rows = await tx.fetch(_LAST, {"key": record, "most": most}) if most > 0 else []
    return [{"version": present - back, **dict(row)} for back, row in enumerate(rows)][::-1]
