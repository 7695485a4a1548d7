"""What a service has told: the archive as the history of what it owns, and its rows as the events that they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.contracts.envelope import Cause, headers_of
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


def cause_of(row: Mapping[str, Any]) -> Cause:
    """The cause of an event, as its row keeps it."""
    return Cause(
        actor=row["actor"], occurred_at=row["occurred_at"], recorded_at=row["recorded_at"], origin=row["origin"],
        correlation_id=row["correlation_id"], causation_id=row["causation_id"], traceparent=row["traceparent"],
    )  # fmt: skip


def headers_of_row(row: Mapping[str, Any], source: str, *, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    """The Kafka headers of a row; `traceparent` stands in place of its own. Raises what a row raises that no event was
    made into, such as AttributeError and ValueError."""
    cause = cause_of(row)
    return headers_of(
        id=row["id"], source=source, type=row["type"], subject=row["subject"], sequence=row["position"],
        cause=cause if traceparent is None else replace(cause, traceparent=traceparent),
    )  # fmt: skip
