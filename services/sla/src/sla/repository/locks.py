"""One after the other: a contract is checked against its type, and both against the calendars that count."""

from __future__ import annotations

from shared.db.statement import sql
from shared.db.transaction import Transaction

_ONE_BY_ONE = sql("SELECT pg_advisory_xact_lock(:lock)")
_RECORDS = 0xC0417AC7


async def lock_records(tx: Transaction) -> None:
    """Locks out whoever else records calendars, types or contracts, until the end of the transaction."""
    await tx.execute(_ONE_BY_ONE, {"lock": _RECORDS})
