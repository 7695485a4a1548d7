"""What is told after it happened: it happened after what it follows."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.envelope import instant
from shared.errors import Invalid


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
