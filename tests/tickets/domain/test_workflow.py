"""What may be done to a ticket in which state and on which level, against a table written by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from shared.contracts.tickets import Status
from tests.tickets.domain.acting import DO
from tests.tickets.domain.tickets import ticket_in
from tickets.domain.workflow import (
    ENDED,
    LEVELS,
    OPEN,
    RULES,
    Action,
    ActionNotAllowed,
    NotAtThisLevel,
    TicketAlreadyCancelled,
    TicketAlreadyClosed,
    allowed_in,
    status_after,
)

STATES: tuple[Status, ...] = ("new", "in_progress", "on_hold", "resolved", "closed", "cancelled")
# What each state becomes by an action, in the order of STATES; "-" is refused, "=" stays.
EXPECTED: dict[Action, tuple[str, ...]] = {
    #               new            in_progress    on_hold        resolved       closed         cancelled
    "assign":      ("in_progress", "=",           "=",           "-",           "-",           "-"),
    "hand-over":   ("=",           "=",           "=",           "=",           "-",           "-"),
    "join":        ("=",           "=",           "=",           "=",           "-",           "-"),
    "leave":       ("=",           "=",           "=",           "=",           "=",           "="),
    "complete":    ("=",           "=",           "=",           "=",           "-",           "-"),
    "escalate":    ("in_progress", "=",           "-",           "-",           "-",           "-"),
    "de-escalate": ("in_progress", "=",           "-",           "-",           "-",           "-"),
    "hold":        ("on_hold",     "on_hold",     "-",           "-",           "-",           "-"),
    "release":     ("-",           "-",           "in_progress", "-",           "-",           "-"),
    "respond":     ("in_progress", "=",           "=",           "=",           "-",           "-"),
    "note":        ("=",           "=",           "=",           "=",           "=",           "="),
    "link":        ("=",           "=",           "=",           "=",           "=",           "="),
    "unlink":      ("=",           "=",           "=",           "=",           "=",           "="),
    "resolve":     ("resolved",    "resolved",    "resolved",    "-",           "-",           "-"),
    "close":       ("-",           "-",           "-",           "closed",      "-",           "-"),
    "reopen":      ("-",           "-",           "-",           "in_progress", "in_progress", "-"),
    "cancel":      ("cancelled",   "cancelled",   "cancelled",   "-",           "-",           "-"),
}  # fmt: skip
# The level after an action, from level 1, 2 and 3; None is refused. Any other action leaves the level.
LEVEL_AFTER: dict[Action, tuple[int | None, ...]] = {"escalate": (2, 3, 3), "de-escalate": (None, 1, 2)}
REFUSALS = {"closed": TicketAlreadyClosed, "cancelled": TicketAlreadyCancelled}
CASES = [
    (status, level, action, status if after == "=" else after)
    for action, row in EXPECTED.items()
    for status, after in zip(STATES, row, strict=True)
    for level in (1, 2, 3)
]


@pytest.mark.parametrize(("status", "level", "action", "after"), CASES)
def test_each_action_leads_where_the_table_says_or_to_a_problem_that_says_what_would_be_possible(
    status: Status, level: int, action: Action, after: str
) -> None:
    ticket = ticket_in(status, level)
    level_after = LEVEL_AFTER.get(action, (1, 2, 3))[level - 1]
    if after != "-" and level_after is not None:
        moved, (event,) = DO[action](ticket)
        assert (moved.status, moved.level, moved.version) == (after, level_after, ticket.version + 1)
        assert event.ticket == moved.brief()
        assert action in allowed_in(status, level)
        return
    refusal = REFUSALS.get(status, ActionNotAllowed) if after == "-" else NotAtThisLevel
    with pytest.raises(refusal) as refused:
        DO[action](ticket)
    if after == "-":
        # What the refusal names can be done, and nothing else can.
        assert (refused.value.extra["ticket_status"], action in refused.value.extra["allowed"]) == (status, False)
        assert refused.value.extra["allowed"] == possible_by_hand(status, level)
    else:
        assert refused.value.extra == {"level": level}
        assert "is at level 1: 'de-escalate' is for level 2 or 3" in refused.value.message


def possible_by_hand(status: Status, level: int) -> list[str]:
    """What the tables above allow, sorted."""
    place = STATES.index(status)
    return sorted(
        action
        for action, row in EXPECTED.items()
        if row[place] != "-" and LEVEL_AFTER.get(action, (1, 2, 3))[level - 1] is not None
    )


def test_the_tables_name_every_state_level_and_action() -> None:
    assert set(EXPECTED) == set(DO) == set(RULES) == set(get_args(Action))
    assert set(STATES) == set(get_args(Status))
    assert LEVELS == (1, 2, 3)
    assert {rule.action: rule.tells.type for rule in RULES.values()} == TOLD


# What each action tells the others: no two the same.
TOLD: dict[Action, str] = {
    "assign": "desk.ticket.assigned.v1", "hand-over": "desk.ticket.handed-over.v1",
    "join": "desk.ticket.participant-joined.v1", "leave": "desk.ticket.participant-left.v1",
    "complete": "desk.ticket.classified.v1",
    "escalate": "desk.ticket.escalated.v1", "de-escalate": "desk.ticket.deescalated.v1",
    "hold": "desk.ticket.held.v1", "release": "desk.ticket.released.v1", "respond": "desk.ticket.responded.v1",
    "link": "desk.ticket.linked.v1", "unlink": "desk.ticket.unlinked.v1",
    "note": "desk.ticket.commented.v1", "resolve": "desk.ticket.resolved.v1", "reopen": "desk.ticket.reopened.v1",
    "close": "desk.ticket.closed.v1", "cancel": "desk.ticket.cancelled.v1",
}  # fmt: skip


@pytest.mark.parametrize("action", list(DO))
def test_an_action_tells_what_the_table_says(action: Action) -> None:
    for status in STATES:
        if action in allowed_in(status, 2):
            _, (event,) = DO[action](ticket_in(status, 2))
            assert event.type == TOLD[action]


def test_a_ticket_is_open_until_it_is_closed_or_cancelled() -> None:
    assert (set(OPEN), set(ENDED)) == ({"new", "in_progress", "on_hold", "resolved"}, {"closed", "cancelled"})


def test_a_refused_action_says_what_can_be_done_now() -> None:
    with pytest.raises(ActionNotAllowed) as refused:
        status_after("T-000009", "on_hold", 1, "escalate")
    assert refused.value.extra == {
        "ticket_status": "on_hold",
        "allowed": [
            "assign", "cancel", "complete", "hand-over", "join", "leave", "link", "note", "release", "resolve",
            "respond", "unlink",
        ],
    }  # fmt: skip
    assert "T-000009 is on_hold" in refused.value.message
    assert "release" in refused.value.message


def test_a_closed_ticket_says_that_it_may_be_reopened() -> None:
    with pytest.raises(TicketAlreadyClosed, match="T-000009 is closed: reopen it, or open a new one") as refused:
        status_after("T-000009", "closed", 1, "respond")
    assert refused.value.extra == {"ticket_status": "closed", "allowed": ["leave", "link", "note", "reopen", "unlink"]}


def test_a_cancelled_ticket_says_that_only_a_new_one_helps() -> None:
    with pytest.raises(TicketAlreadyCancelled, match="T-000009 is cancelled: open a new one") as refused:
        status_after("T-000009", "cancelled", 1, "reopen")
    assert refused.value.extra == {"ticket_status": "cancelled", "allowed": ["leave", "link", "note", "unlink"]}
