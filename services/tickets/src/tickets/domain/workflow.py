"""The states of a ticket and what may be done in each: one table, read by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from shared.errors import Conflict

Status = Literal["new", "in_progress", "on_hold", "resolved", "closed"]
Action = Literal["assign", "escalate", "hold", "release", "respond", "resolve", "close"]

# In one of these a ticket has ended and stands in no queue; in any other it is open.
ENDED: tuple[Status, ...] = ("closed",)
OPEN: tuple[Status, ...] = tuple(status for status in get_args(Status) if status not in ENDED)

# state → action → next state. What is not here is not allowed. A hold is left by releasing or by resolving only, so
# that whoever escalates has said that the waiting is over; nothing leads out of `closed`.
TRANSITIONS: Mapping[Status, Mapping[Action, Status]] = {
    "new": {
        "assign": "in_progress",
        "escalate": "in_progress",
        "hold": "on_hold",
        "respond": "in_progress",
        "resolve": "resolved",
    },
    "in_progress": {
        "assign": "in_progress",
        "escalate": "in_progress",
        "hold": "on_hold",
        "respond": "in_progress",
        "resolve": "resolved",
    },
    "on_hold": {
        "assign": "on_hold",
        "respond": "on_hold",
        "release": "in_progress",
        "resolve": "resolved",
    },
    "resolved": {"respond": "resolved", "close": "closed"},
    "closed": {},
}


class TicketAlreadyClosed(Conflict):
    """Nothing can be done to a closed ticket."""

    code = "ticket-already-closed"
    title = "The ticket is closed"


class ActionNotAllowed(Conflict):
    """The ticket's state does not allow the action; `ticket_status` and `allowed` travel with it."""

    code = "action-not-allowed"
    title = "The ticket's state does not allow this"


def status_after(number: str, status: Status, action: Action) -> Status:
    """The state that the action leads to. Raises TicketAlreadyClosed or ActionNotAllowed, which name the way out."""
    allowed = TRANSITIONS[status]
    if action in allowed:
        return allowed[action]
    if status == "closed":
        raise TicketAlreadyClosed(
            f"{number} is closed: open a new one and name it there", ticket_status=status, allowed=[]
        )
    raise ActionNotAllowed(
        f"{number} is {status}, so it cannot take '{action}'; what it can take now: {', '.join(sorted(allowed))}",
        ticket_status=status,
        allowed=sorted(allowed),
    )
