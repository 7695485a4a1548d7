"""What may be done to a ticket in which state, against a table written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args
from uuid import UUID

import pytest

from shared.contracts.tickets import Status, TicketEvent
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, ticket_in
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import (
    ENDED,
    OPEN,
    TRANSITIONS,
    Action,
    ActionNotAllowed,
    TicketAlreadyCancelled,
    TicketAlreadyClosed,
    status_after,
)

DO: dict[Action, Callable[[Ticket], tuple[Ticket, tuple[TicketEvent, ...]]]] = {
    "assign": lambda ticket: ticket.assign("carla"),
    "escalate": lambda ticket: ticket.escalate(UUID(int=7), "analysts", "no alcanza el nivel 1", NOTHING_KNOWN),
    "hold": lambda ticket: ticket.hold("third-party", "esperamos a ARCA", at=NOW),
    "release": lambda ticket: ticket.release(at=NOW),
    "respond": lambda ticket: ticket.respond("phone", "lo estamos viendo", at=NOW),
    "resolve": lambda ticket: ticket.resolve("configuracion", "listo", at=NOW),
    "close": lambda ticket: ticket.close(at=NOW),
    "reopen": lambda ticket: ticket.reopen("sigue igual", at=NOW),
    "cancel": lambda ticket: ticket.cancel("era del otro cliente", at=NOW),
}

STATES: tuple[Status, ...] = ("new", "in_progress", "on_hold", "resolved", "closed", "cancelled")
# What each state becomes by an action, in the order of STATES; "-" is refused.
EXPECTED: dict[Action, tuple[str, ...]] = {
    #            new            in_progress    on_hold        resolved       closed         cancelled
    "assign":   ("in_progress", "in_progress", "on_hold",     "-",           "-",           "-"),
    "escalate": ("in_progress", "in_progress", "-",           "-",           "-",           "-"),
    "hold":     ("on_hold",     "on_hold",     "-",           "-",           "-",           "-"),
    "release":  ("-",           "-",           "in_progress", "-",           "-",           "-"),
    "respond":  ("in_progress", "in_progress", "on_hold",     "resolved",    "-",           "-"),
    "resolve":  ("resolved",    "resolved",    "resolved",    "-",           "-",           "-"),
    "close":    ("-",           "-",           "-",           "closed",      "-",           "-"),
    "reopen":   ("-",           "-",           "-",           "in_progress", "in_progress", "-"),
    "cancel":   ("cancelled",   "cancelled",   "cancelled",   "-",           "-",           "-"),
}  # fmt: skip
CASES = [(status, action, after) for action, row in EXPECTED.items() for status, after in zip(STATES, row, strict=True)]


@pytest.mark.parametrize(("status", "action", "after"), CASES)
def test_each_action_is_allowed_in_exactly_its_states(status: Status, action: Action, after: str) -> None:
    ticket = ticket_in(status)
    if after == "-":
        with pytest.raises((ActionNotAllowed, TicketAlreadyClosed, TicketAlreadyCancelled)):
            DO[action](ticket)
    else:
        moved, events = DO[action](ticket)
        assert moved.status == after
        assert moved.version == ticket.version + 1
        assert [event.ticket for event in events] == [moved.brief()]


def test_the_table_names_every_state_and_leads_to_known_states_only() -> None:
    assert set(TRANSITIONS) == set(get_args(Status)) == set(STATES)
    assert {after for row in TRANSITIONS.values() for after in row.values()} <= set(get_args(Status))
    assert {action for row in TRANSITIONS.values() for action in row} == set(get_args(Action)) == set(DO)
    assert set(EXPECTED) == set(DO)


def test_a_ticket_is_open_until_it_is_closed_or_cancelled() -> None:
    assert (set(OPEN), set(ENDED)) == ({"new", "in_progress", "on_hold", "resolved"}, {"closed", "cancelled"})


def test_a_refused_action_says_what_can_be_done_now() -> None:
    with pytest.raises(ActionNotAllowed) as refused:
        status_after("T-000009", "on_hold", "escalate")
    assert refused.value.extra == {
        "ticket_status": "on_hold", "allowed": ["assign", "cancel", "release", "resolve", "respond"],
    }  # fmt: skip
    assert "T-000009 is on_hold" in refused.value.message
    assert "release" in refused.value.message


def test_a_closed_ticket_says_that_it_may_be_reopened() -> None:
    with pytest.raises(TicketAlreadyClosed, match="T-000009 is closed: reopen it, or open a new one") as refused:
        status_after("T-000009", "closed", "respond")
    assert refused.value.extra == {"ticket_status": "closed", "allowed": ["reopen"]}


def test_a_cancelled_ticket_says_that_only_a_new_one_helps() -> None:
    with pytest.raises(TicketAlreadyCancelled, match="T-000009 is cancelled: open a new one") as refused:
        status_after("T-000009", "cancelled", "reopen")
    assert refused.value.extra == {"ticket_status": "cancelled", "allowed": []}
