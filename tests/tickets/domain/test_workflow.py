"""What may be done to a ticket in which state, against a table written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args
from uuid import UUID

import pytest

from shared.contracts.tickets import TicketEvent
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, ticket_in
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import TRANSITIONS, Action, ActionNotAllowed, Status, TicketAlreadyClosed, status_after

DO: dict[Action, Callable[[Ticket], tuple[Ticket, tuple[TicketEvent, ...]]]] = {
    "assign": lambda ticket: ticket.assign("carla"),
    "escalate": lambda ticket: ticket.escalate(UUID(int=7), "analysts", "no alcanza el nivel 1", NOTHING_KNOWN),
    "hold": lambda ticket: ticket.hold("third-party", "esperamos a ARCA", at=NOW),
    "release": lambda ticket: ticket.release(at=NOW),
    "respond": lambda ticket: ticket.respond("phone", "lo estamos viendo", at=NOW),
    "resolve": lambda ticket: ticket.resolve("configuracion", "listo", at=NOW),
    "close": lambda ticket: ticket.close(at=NOW),
}

# The state after each action, in the order of DO; "-" is refused.
EXPECTED: dict[Status, tuple[str, ...]] = {
    #               assign         escalate       hold       release        respond        resolve     close
    "new":         ("in_progress", "in_progress", "on_hold", "-",           "in_progress", "resolved", "-"),
    "in_progress": ("in_progress", "in_progress", "on_hold", "-",           "in_progress", "resolved", "-"),
    "on_hold":     ("on_hold",     "-",           "-",       "in_progress", "on_hold",     "resolved", "-"),
    "resolved":    ("-",           "-",           "-",       "-",           "resolved",    "-",        "closed"),
    "closed":      ("-",           "-",           "-",       "-",           "-",           "-",        "-"),
}  # fmt: skip
CASES = [(status, action, after) for status, row in EXPECTED.items() for action, after in zip(DO, row, strict=True)]


@pytest.mark.parametrize(("status", "action", "after"), CASES)
def test_each_action_is_allowed_in_exactly_its_states(status: Status, action: Action, after: str) -> None:
    ticket = ticket_in(status)
    if after == "-":
        with pytest.raises((ActionNotAllowed, TicketAlreadyClosed)):
            DO[action](ticket)
    else:
        moved, events = DO[action](ticket)
        assert moved.status == after
        assert moved.version == ticket.version + 1
        assert [event.version for event in events] == [moved.version]


def test_the_table_names_every_state_and_leads_to_known_states_only() -> None:
    assert set(TRANSITIONS) == set(get_args(Status))
    assert {after for row in TRANSITIONS.values() for after in row.values()} <= set(get_args(Status))
    assert {action for row in TRANSITIONS.values() for action in row} == set(get_args(Action))


def test_a_refused_action_says_what_can_be_done_now() -> None:
    with pytest.raises(ActionNotAllowed) as refused:
        status_after("T-000009", "on_hold", "escalate")
    assert refused.value.extra == {"ticket_status": "on_hold", "allowed": ["assign", "release", "resolve", "respond"]}
    assert "T-000009 is on_hold" in refused.value.message
    assert "release" in refused.value.message


def test_a_closed_ticket_says_that_it_is_closed() -> None:
    with pytest.raises(TicketAlreadyClosed, match="T-000009 is closed"):
        status_after("T-000009", "closed", "respond")
