"""How long a settled ticket may still come back, and when it closes by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.errors import Conflict

# So long after its resolution the same ticket goes on when it turns out that it was none.
REOPEN_WITHIN = timedelta(days=5)
# So long after its resolution it closes by itself, when nobody has objected.
OBJECT_WITHIN = timedelta(days=3)


class ReopenWindowPassed(Conflict):
    """What comes back after so long is another matter, with clocks of its own."""

    code = "reopen-window-passed"
    title = "The ticket can no longer be reopened"


def require_reopenable(number: str, resolved_at: datetime | None, at: datetime) -> None:
    """Checks that a ticket was not resolved too long ago to go on. Raises ReopenWindowPassed."""
    if resolved_at is not None and at > resolved_at + REOPEN_WITHIN:
        raise ReopenWindowPassed(
            f"{number} was resolved more than {REOPEN_WITHIN.days} days ago: open a new one and name it there",
            resolved_at=resolved_at.isoformat(),
        )
