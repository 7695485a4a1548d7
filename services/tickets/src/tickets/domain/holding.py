"""Holds: until when the work may rest, at the latest."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.contracts.tickets import HoldReason
from shared.errors import Invalid

LONGEST_HOLD = timedelta(days=366)


class WakeAtMissing(Invalid):
    """A date that was agreed is said."""

    code = "wake-at-missing"
    title = "The agreed date is missing"


class WakeAtOutOfReach(Invalid):
    """A hold ends in the future, and within a year."""

    code = "wake-at-out-of-reach"
    title = "The hold would have ended already, or never"


def check_wake_at(reason: HoldReason, wake_at: datetime | None, now: datetime) -> None:
    """Checks when a hold is to end by itself. Raises WakeAtMissing, WakeAtOutOfReach."""
    if wake_at is None and reason == "agreed-date":
        raise WakeAtMissing("say in wake_at which date was agreed: the ticket comes back by itself then")
    if wake_at is not None and not now < wake_at <= now + LONGEST_HOLD:
        raise WakeAtOutOfReach(f"wake_at is {wake_at.isoformat()}: say an instant after now, within a year")
