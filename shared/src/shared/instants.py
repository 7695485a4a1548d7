"""The instant of a change: read under the lock of what is changed, and after everything that happened to it before."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared import clock
from shared.contracts.envelope import Cause

# The smallest step that PostgreSQL keeps and that an event tells.
STEP = timedelta(microseconds=1)


def under_lock(cause: Cause, latest: datetime | None) -> Cause:
    """The cause as of now. Call it right after the aggregate was locked, with the instant of its latest fact, if any.

    Requests reach the lock in another order than they came, and hosts differ by seconds: so the order of instants is
    the order of acceptance, whatever the clock of this host says. What a caller dated keeps its date.
    """
    now = clock.now()
    return cause.taken_up(now if latest is None or latest < now else latest + STEP)
