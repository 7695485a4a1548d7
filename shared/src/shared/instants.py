"""The instant of a change: read under the lock of what is changed, and after everything that happened to it before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared import clock
from shared.contracts.envelope import Cause, instant
from shared.errors import Invalid

# The smallest step that PostgreSQL keeps and that an event tells.
STEP = timedelta(microseconds=1)
# Two computers never agree to the second: an instant this little ahead is taken as now.
CLOCK_SKEW = timedelta(seconds=5)
NEEDS_REASON_AFTER = timedelta(minutes=15)


class OccurredInTheFuture(Invalid):
    """Nothing has happened that is still to come."""

    code = "occurred-in-the-future"
    title = "The instant lies in the future"


class DatedReasonMissing(Invalid):
    """What is told late says why."""

    code = "dated-reason-missing"
    title = "What happened a while ago needs a reason"


def under_lock(cause: Cause, latest: datetime | None) -> Cause:
    """The cause as of now. Call it right after the aggregate was locked, with the instant of its latest fact, if any.

    Requests reach the lock in another order than they came, and hosts differ by seconds: so the order of instants is
    the order of acceptance, whatever the clock of this host says. What a caller dated keeps its date.
    """
    now = clock.now()
    return cause.taken_up(now if latest is None or latest < now else latest + STEP)


def dated(cause: Cause, occurred_at: datetime | None, reason: str | None) -> Cause:
    """The cause of something that happened before somebody told it; as it is when nobody says when.

    Raises OccurredInTheFuture, and DatedReasonMissing for what is more than 15 minutes ago. Whether it happened
    after what it follows only the aggregate knows.
    """
    now = cause.recorded_at
    if occurred_at is None:
        return cause
    if occurred_at > now + CLOCK_SKEW:
        raise OccurredInTheFuture(
            f"occurred_at {instant(occurred_at)} is more than {CLOCK_SKEW.seconds} seconds after now, {instant(now)}: "
            "say an instant up to now, or leave it out"
        )
    if now - occurred_at > NEEDS_REASON_AFTER and not reason:
        raise DatedReasonMissing(
            f"occurred_at {instant(occurred_at)} is more than {NEEDS_REASON_AFTER.seconds // 60} minutes before now, "
            f"{instant(now)}: say in occurred_late_reason why it is told only now; from "
            f"{instant(now - NEEDS_REASON_AFTER)} on none is needed"
        )
    return replace(cause, occurred_at=min(occurred_at.astimezone(UTC), now))
