"""What a ticket can be, as conditions on its columns: whoever writes past the actions is refused by the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tickets.domain.escalation import LEVEL_OF
from tickets.domain.workflow import LEVELS, STATUSES


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _of_level(level: int) -> str:
    targets = [target for target, its in LEVEL_OF.items() if its == level]
    return f"target IS NOT NULL AND target IN ({_listed(targets)})" if targets else "target IS NULL"


_LEVELS = " ".join(f"WHEN {level} THEN {_of_level(level)}" for level in LEVELS)

# By the name of each constraint. They hold together exactly where some sequence of actions leads: a test compares them
# with every state that the actions reach. A condition that is null would pass, so none of them can be.
CONDITIONS: Mapping[str, str] = {
    "tickets_status": f"status IN ({_listed(STATUSES)})",
    # Nobody has it on the first level, somebody of a target on the others.
    "tickets_level": f"CASE level {_LEVELS} ELSE false END",
    # Any work on a new ticket makes it one in progress, and nothing makes it new again.
    "tickets_untouched": "status <> 'new' OR (level = 1 AND assignee IS NULL AND first_responded_at IS NULL)",
    "tickets_hold": (
        "num_nonnulls(hold_reason, hold_note, held_at) = CASE WHEN status = 'on_hold' THEN 3 ELSE 0 END "
        "AND (wake_at IS NULL OR status = 'on_hold') AND (hold_reason IS DISTINCT FROM 'agreed-date' "
        "OR wake_at IS NOT NULL)"
    ),
    "tickets_resolution": (
        "num_nonnulls(resolution_code, resolution_text, resolved_at, reopenable_until) = "
        "CASE WHEN status IN ('resolved', 'closed') THEN 4 ELSE 0 END "
        "AND (closes_at IS NOT NULL) = (status = 'resolved')"
    ),
    "tickets_end": "(closed_at IS NOT NULL) = (status = 'closed') "
    "AND (cancelled_at IS NOT NULL) = (status = 'cancelled')",
}
