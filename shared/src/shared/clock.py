"""The only place that reads the time."""

import os
from datetime import UTC, datetime, timedelta

# A test skews one process against the others with this; production has no business setting it.
_skew = timedelta(seconds=float(os.environ.get("DESK_CLOCK_SKEW_SECONDS", "0")))


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC) + _skew
