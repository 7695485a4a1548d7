"""How late may be told what happened, and after what: pure rules, for the aggregates of every service."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.contracts.envelope import instant
from shared.errors import Invalid

# Two computers never agree to the second: an instant this little ahead is taken as now.
CLOCK_SKEW = timedelta(seconds=5)
NEEDS_REASON_AFTER = timedelta(minutes=15)


class OccurredBeforeItBegan(Invalid):
    """Nothing happens before what it follows; `not_before` travels with it."""

    code = "occurred-before-it-began"
    title = "The instant lies before the beginning"


def require_after(at: datetime, begun_at: datetime, what: str) -> None:
    """Raises OccurredBeforeItBegan for a fact that is dated before what it follows: `what` says what happened then."""
    if at < begun_at:
        raise OccurredBeforeItBegan(
            f"occurred_at {instant(at)} is before {instant(begun_at)}, when {what}: say an instant from then on, or "
            "leave it out for now",
            not_before=instant(begun_at),
        )
