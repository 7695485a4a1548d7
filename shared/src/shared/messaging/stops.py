"""What keeps a service's consumers from going on until an operator decides: as every part of the service can see it."""

from __future__ import annotations

from typing import Any

from shared.contracts.consumers import CONSUMERS
from shared.db.transaction import Reader
from shared.messaging import limit, refusals, skipped


async def present(tx: Reader, service: str) -> dict[str, list[dict[str, Any]]]:
    """Refused logs, halts, and types that were passed over and are reacted to now; only those that there are."""
    found = {
        "refused_logs": await refusals.refused(tx),
        "halted": await limit.halted(tx),
        "passed_over": await skipped.passed_over(tx, {event.type for event in CONSUMERS.get(service, ())}),
    }
    return {name: [dict(row) for row in rows] for name, rows in found.items() if rows}
