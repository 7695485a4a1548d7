"""When the client reported: the instant from which every clock counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.errors import Invalid
from shared.lateness import CLOCK_SKEW, NEEDS_REASON_AFTER

NEEDS_SUPERVISOR_AFTER = timedelta(hours=24)
# Clocks of that time have long run out, and the calendars and contracts of then may not be known here.
IS_IMPORTED_AFTER = timedelta(days=90)


class ReportedInTheFuture(Invalid):
    """Nobody can have called later than now."""

    code = "reported-in-the-future"
    title = "The report lies in the future"


class LateReasonMissing(Invalid):
    """A late registration says why."""

    code = "late-reason-missing"
    title = "A late registration needs a reason"


class ReportedTooLongAgo(Invalid):
    """Registering something of another day is not everybody's decision."""

    code = "reported-too-long-ago"
    title = "Only a supervisor registers what is older than a day"


class TooOldToRegister(Invalid):
    """What is months old is history of another system, not a call: nobody registers it by hand."""

    code = "too-old-to-register"
    title = "What is older than 90 days is imported"


def reported_instant(stated: datetime | None, now: datetime, reason: str | None, *, may_be_late: bool) -> datetime:
    """The start of the call (one call, one request): now when nothing is stated, never later than now.

    Raises ReportedInTheFuture, LateReasonMissing (more than 15 minutes ago), ReportedTooLongAgo (more than 24 h), or
    TooOldToRegister (more than 90 days, whoever asks).
    """
    if stated is None:
        return now
    if stated > now + CLOCK_SKEW:
        raise ReportedInTheFuture(f"reported_at {stated.isoformat()} is after now ({now.isoformat()}): correct it")
    ago = now - stated
    if ago > IS_IMPORTED_AFTER:
        raise TooOldToRegister(
            f"reported_at {stated.isoformat()} is more than {IS_IMPORTED_AFTER.days} days ago: correct it if it is a "
            "mistake; what is really that old belongs to an import, which is not a matter of this request"
        )
    if ago > NEEDS_SUPERVISOR_AFTER and not may_be_late:
        raise ReportedTooLongAgo(
            "reported_at is more than 24 hours ago: ask a supervisor to register this ticket",
            permission="ticket:open-late",
        )
    if ago > NEEDS_REASON_AFTER and not reason:
        raise LateReasonMissing("reported_at is more than 15 minutes ago: say why in reported_late_reason")
    return min(stated, now)
