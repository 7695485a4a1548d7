"""Whether the replicas of reference data are complete enough to serve from."""

from __future__ import annotations

from collections.abc import Collection

from shared.db.statement import sql
from shared.db.transaction import Reader

_UNFILLED = sql("""
    SELECT topic, count(*) FILTER (WHERE filled_at IS NULL) AS open FROM runtime.replicas
    WHERE topic = ANY(CAST(:topics AS text[])) GROUP BY topic
""")


async def unfilled_replicas(tx: Reader, topics: Collection[str]) -> list[str]:
    """The compacted topics whose replica is not complete yet; a topic that was never assigned is not either."""
    rows = await tx.fetch(_UNFILLED, {"topics": sorted(topics)})
    seen = {row.topic: row.open for row in rows}
    return [topic for topic in sorted(topics) if seen.get(topic, 1) > 0]
