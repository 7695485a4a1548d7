"""The guards of every session of a serving role: what a frozen, lost or slow process may hold, and for how long.

They stand on the role (ALTER ROLE ... IN DATABASE, by whoever makes the roles), so they hold for whatever connects as
it, a person with psql and a pooler in between too, and no start of a session has to name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.db.connection import STATEMENT_SECONDS
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.errors import Unavailable

# Milliseconds, as PostgreSQL keeps them.
GUARDS: Mapping[str, int] = {
    # The driver gives up a little later than that (`limits`), so the server's own answer comes first.
    "statement_timeout": int(STATEMENT_SECONDS * 1000),
    # Shorter than a statement's, so that waiting for somebody else (55P03, try again) is told from being slow (57014).
    "lock_timeout": 20_000,
    # A frozen process must not hold its locks for ever: PostgreSQL ends its transaction, and another process goes on.
    "idle_in_transaction_session_timeout": 3_000,
}
HOW_TO_SET = "let whoever makes the databases do it again (ALTER ROLE ... IN DATABASE ... SET)"

_STANDING = sql("SELECT name, setting FROM pg_settings WHERE name = ANY(CAST(:names AS text[]))")


class GuardsMissing(Unavailable):
    """The sessions of this process may hold what they locked for longer than anybody waits, or for ever."""

    code = "guards-missing"
    title = "The serving role lacks its guards"


async def require_guards(reader: Reader) -> None:
    """Raises GuardsMissing, with what to do, where this session's role lacks one."""
    if missing := await missing_guards(reader):
        # A session keeps what its role had when it began, so those that are open stay without.
        raise GuardsMissing(f"{', '.join(missing)}: {HOW_TO_SET}, and start this process again")


async def missing_guards(reader: Reader) -> list[str]:
    """What this session's role lacks, as words; a shorter limit than ours is nobody's lack."""
    rows = await reader.fetch(_STANDING, {"names": list(GUARDS)})
    standing = {row.name: int(row.setting) for row in rows}
    return [
        f"{name} is {_spoken(standing[name])} instead of {_spoken(most)}"
        for name, most in GUARDS.items()
        if not 0 < standing[name] <= most
    ]


def _spoken(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds else "off"
