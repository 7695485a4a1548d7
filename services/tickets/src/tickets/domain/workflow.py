"""What may be done to a ticket: one table of actions, by state and level, with who may and where each leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from shared.contracts.tickets import (
    Status,
    TicketAssigned,
    TicketCancelled,
    TicketClassified,
    TicketClosed,
    TicketCommented,
    TicketDeescalated,
    TicketEscalated,
    TicketEvent,
    TicketHandedOver,
    TicketHeld,
    TicketLinked,
    TicketParticipantJoined,
    TicketParticipantLeft,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
    TicketUnlinked,
)
from shared.errors import Conflict

Action = Literal[
    "assign", "hand-over", "join", "leave", "complete", "escalate", "de-escalate", "hold", "release", "respond", "note",
    "link", "unlink", "resolve", "reopen", "close", "cancel",
]  # fmt: skip

# In one of these a ticket has ended and stands in no queue; in any other it is open.
ENDED: tuple[Status, ...] = ("closed", "cancelled")
STATUSES: tuple[Status, ...] = get_args(Status)
OPEN: tuple[Status, ...] = tuple(status for status in STATUSES if status not in ENDED)
LEVELS = (1, 2, 3)

_Way = Mapping[Status, Status]
_STAYS: _Way = {status: status for status in STATUSES}
_STAYS_OPEN: _Way = {status: status for status in OPEN}
# Any work on a new ticket makes it one in progress.
_WORK: _Way = {"new": "in_progress", "in_progress": "in_progress"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One action: from which state to which, on which levels, who may (a permission), and what it tells.

    What is not among `leads` is not allowed.
    """

    action: Action
    leads: _Way
    may: str
    tells: type[TicketEvent]
    levels: tuple[int, ...] = field(default=LEVELS)


# A hold is left by releasing, resolving or cancelling only, so that whoever hands the ticket on has said that the
# waiting is over. What was cancelled is only written about; what another ticket has to do with it is a part of that.
RULES: Mapping[Action, Rule] = {
    rule.action: rule
    for rule in (
        Rule("assign", {**_WORK, "on_hold": "on_hold"}, "ticket:work", TicketAssigned),
        Rule("hand-over", _STAYS_OPEN, "ticket:work", TicketHandedOver),
        Rule("join", _STAYS_OPEN, "ticket:work", TicketParticipantJoined),
        Rule("leave", _STAYS, "ticket:work", TicketParticipantLeft),
        # To say what a ticket is about is not to work on it: a new one stays new, and in the queue.
        Rule("complete", _STAYS_OPEN, "ticket:work", TicketClassified),
        Rule("escalate", _WORK, "ticket:escalate", TicketEscalated),
        Rule("de-escalate", _WORK, "ticket:escalate", TicketDeescalated, levels=(2, 3)),
        Rule("hold", {"new": "on_hold", "in_progress": "on_hold"}, "ticket:work", TicketHeld),
        Rule("release", {"on_hold": "in_progress"}, "ticket:work", TicketReleased),
        Rule("respond", {**_WORK, "on_hold": "on_hold", "resolved": "resolved"}, "ticket:work", TicketResponded),
        Rule("note", _STAYS, "ticket:work", TicketCommented),
        Rule("link", _STAYS, "ticket:work", TicketLinked),
        Rule("unlink", _STAYS, "ticket:work", TicketUnlinked),
        Rule(
            "resolve",
            {"new": "resolved", "in_progress": "resolved", "on_hold": "resolved"},
            "ticket:work",
            TicketResolved,
        ),
        Rule("reopen", {"resolved": "in_progress", "closed": "in_progress"}, "ticket:work", TicketReopened),
        Rule("close", {"resolved": "closed"}, "ticket:work", TicketClosed),
        Rule(
            "cancel",
            {"new": "cancelled", "in_progress": "cancelled", "on_hold": "cancelled"},
            "ticket:cancel",
            TicketCancelled,
        ),
    )
}


class TicketAlreadyClosed(Conflict):
    """Little can be done to a closed ticket but to reopen it."""

    code = "ticket-already-closed"
    title = "The ticket is closed"


class TicketAlreadyCancelled(Conflict):
    """Nothing is done any more about a cancelled ticket."""

    code = "ticket-already-cancelled"
    title = "The ticket is cancelled"


class ActionNotAllowed(Conflict):
    """The ticket's state does not allow the action; `ticket_status` and `allowed` travel with it."""

    code = "action-not-allowed"
    title = "The ticket's state does not allow this"


class NotAtThisLevel(Conflict):
    """The ticket's level does not know the action; `level` travels with it."""

    code = "not-at-this-level"
    title = "The ticket's level does not allow this"


def status_after(number: str, status: Status, level: int, action: Action) -> Status:
    """The state that the action leads to.

    Raises TicketAlreadyClosed, TicketAlreadyCancelled, ActionNotAllowed or NotAtThisLevel, which name the way out.
    """
    rule = RULES[action]
    if status not in rule.leads:
        raise _refused(number, status, level, action)
    if level not in rule.levels:
        where = " or ".join(map(str, rule.levels))
        raise NotAtThisLevel(f"{number} is at level {level}: '{action}' is for level {where}", level=level)
    return rule.leads[status]


def allowed_in(status: Status, level: int) -> list[Action]:
    """The actions that a state and a level know, sorted."""
    return sorted(rule.action for rule in RULES.values() if status in rule.leads and level in rule.levels)


def _refused(number: str, status: Status, level: int, action: Action) -> Conflict:
    told: dict[str, Any] = {"ticket_status": status, "allowed": allowed_in(status, level)}
    if status == "closed":
        return TicketAlreadyClosed(f"{number} is closed: reopen it, or open a new one and name it there", **told)
    if status == "cancelled":
        return TicketAlreadyCancelled(f"{number} is cancelled: open a new one and name it there", **told)
    can = ", ".join(told["allowed"])
    return ActionNotAllowed(f"{number} is {status}, so it cannot take '{action}'; what it can take now: {can}", **told)
