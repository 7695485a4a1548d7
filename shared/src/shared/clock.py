"""The only place that reads the time."""

import os
import time
from datetime import UTC, datetime, timedelta

# A test sets one process's clock wrong with this, by so many seconds, or by each of several in turn, so that it jumps
# forth and back while the process works: "1.5" or "1.5,-1.2,0". Production refuses it.
_WRONG_BY = tuple(timedelta(seconds=float(each)) for each in os.environ.get("DESK_CLOCK_SKEW_SECONDS", "0").split(","))
_TURN_SECONDS = 0.5


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC) + _WRONG_BY[int(time.monotonic() / _TURN_SECONDS) % len(_WRONG_BY)]
