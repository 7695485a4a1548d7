"""One after the other: where what one may record depends on what all others have recorded."""

from __future__ import annotations

from shared.db.statement import sql
from shared.db.transaction import Transaction

_ONE_BY_ONE = sql("SELECT pg_advisory_xact_lock(:lock)")
_TEAMS, _SCHEMES, _DUPLICATES = 0x7EA45, 0x5C4E3E, 0xD0B1E


async def lock_teams(tx: Transaction) -> None:
    """Locks out whoever else records teams or rotas, until the end of the transaction."""
    await tx.execute(_ONE_BY_ONE, {"lock": _TEAMS})


async def lock_schemes(tx: Transaction) -> None:
    """Locks out whoever else records schemes of urgency, until the end of the transaction."""
    await tx.execute(_ONE_BY_ONE, {"lock": _SCHEMES})


async def lock_duplicates(tx: Transaction) -> None:
    """Locks out whoever else says that one ticket is a duplicate, until the end; taken before any ticket is locked.

    Two links of duplicates between four tickets may close a circle that neither of them sees.
    """
    await tx.execute(_ONE_BY_ONE, {"lock": _DUPLICATES})
