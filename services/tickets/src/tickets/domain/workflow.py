"""The states of a ticket and what may be done in each: one table, read by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from shared.contracts.tickets import Status
from shared.errors import Conflict

Action = Literal["assign", "escalate", "hold", "release", "respond", "resolve", "reopen", "close", "cancel"]

# In one of these a ticket has ended and stands in no queue; in any other it is open.
ENDED: tuple[Status, ...] = ("closed", "cancelled")
OPEN: tuple[Status, ...] = tuple(status for status in get_args(Status) if status not in ENDED)

# state → action → next state. What is not here is not allowed. A hold is left by releasing, resolving or cancelling
# only, so that whoever escalates has said that the waiting is over.
TRANSITIONS: Mapping[Status, Mapping[Action, Status]] = {
    "new": {
        "assign": "in_progress",
        "escalate": "in_progress",
        "hold": "on_hold",
        "respond": "in_progress",
        "resolve": "resolved",
        "cancel": "cancelled",
    },
    "in_progress": {
        "assign": "in_progress",
        "escalate": "in_progress",
        "hold": "on_hold",
        "respond": "in_progress",
        "resolve": "resolved",
        "cancel": "cancelled",
    },
    "on_hold": {
        "assign": "on_hold",
        "respond": "on_hold",
        "release": "in_progress",
        "resolve": "resolved",
        "cancel": "cancelled",
    },
    "resolved": {"respond": "resolved", "close": "closed", "reopen": "in_progress"},
    "closed": {"reopen": "in_progress"},
    "cancelled": {},
}


class TicketAlreadyClosed(Conflict):
    """Nothing can be done to a closed ticket but to reopen it."""

    code = "ticket-already-closed"
    title = "The ticket is closed"


class TicketAlreadyCancelled(Conflict):
    """Nothing can be done to a cancelled ticket."""

    code = "ticket-already-cancelled"
    title = "The ticket is cancelled"


class ActionNotAllowed(Conflict):
    """The ticket's state does not allow the action; `ticket_status` and `allowed` travel with it."""

    code = "action-not-allowed"
    title = "The ticket's state does not allow this"


def status_after(number: str, status: Status, action: Action) -> Status:
    """The state that the action leads to.

    Raises TicketAlreadyClosed, TicketAlreadyCancelled or ActionNotAllowed, which name the way out.
    """
    allowed = TRANSITIONS[status]
    if action in allowed:
        return allowed[action]
    told = {"ticket_status": status, "allowed": sorted(allowed)}
    if status == "closed":
        raise TicketAlreadyClosed(f"{number} is closed: reopen it, or open a new one and name it there", **told)
    if status == "cancelled":
        raise TicketAlreadyCancelled(f"{number} is cancelled: open a new one and name it there", **told)
    raise ActionNotAllowed(
        f"{number} is {status}, so it cannot take '{action}'; what it can take now: {', '.join(sorted(allowed))}",
        **told,
    )
