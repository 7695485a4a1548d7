"""What time the database has: the one question of that kind, asked only to compare the two clocks."""

from __future__ import annotations

from shared import clock
from shared.db.statement import query
from shared.db.transaction import Reader

# Facts of one aggregate are dated by several hosts, and a person reads their instants side by side.
MOST_SECONDS_APART = 2.0
_SERVER_CLOCK = query("SELECT clock_timestamp()")


class ClocksApart(RuntimeError):
    """This process's clock and its database's differ by more than the times on a ticket may."""


async def require_same_time(connection: Reader) -> None:
    """Raises ClocksApart when the clocks differ by more than MOST_SECONDS_APART.

    The database's instant lies somewhere between asking and answering: how long that took is not held against it.
    """
    asked = clock.now()
    told = await connection.fetch_value(_SERVER_CLOCK)
    answered = clock.now()
    ahead, behind = (asked - told).total_seconds(), (told - answered).total_seconds()
    if max(ahead, behind) > MOST_SECONDS_APART:
        how = f"{ahead:.1f} s ahead of" if ahead > behind else f"{behind:.1f} s behind"
        raise ClocksApart(f"this process's clock is {how} its database's: let both follow the same time server (NTP)")
