"""What was settled goes on for some business days, and what should not have been opened ends without a resolution."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.tickets import Status, TicketCancelled, TicketReopened
from shared.errors import Conflict
from shared.instants import STEP
from shared.lateness import OccurredBeforeItBegan
from tests.tickets.domain.acting import DO
from tests.tickets.domain.tickets import (
    IN_FIVE_BUSINESS_DAYS,
    IN_THREE_BUSINESS_DAYS,
    NOTHING_KNOWN,
    NOW,
    new_ticket,
    ticket_in,
)
from tickets.domain.closing import ReopenWindowPassed
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import ActionNotAllowed, TicketAlreadyCancelled


def settled(status: Status) -> Ticket:
    """A ticket of which everything is known that a resolution may touch: resolved at NOW, closed a day later."""
    ticket, _ = new_ticket().assign("bruno")
    ticket, _ = ticket.respond("phone", "lo vemos", at=NOW)
    ticket, _ = ticket.hold("waiting-for-client", "pedimos el log", at=NOW, now=NOW)
    ticket, _ = ticket.resolve("configuracion", "se corrigió", at=NOW)
    if status == "closed":
        ticket, _ = ticket.close(at=NOW + timedelta(days=1))
    return ticket


@pytest.mark.parametrize("status", ["resolved", "closed"])
def test_a_reopened_ticket_goes_on_where_it_was_as_if_it_had_not_been_settled(status: Status) -> None:
    before, at = settled(status), NOW + timedelta(days=2)
    ticket, (event,) = before.reopen("sigue fallando", at=at)
    assert isinstance(event, TicketReopened)
    assert (event.reason, event.previous_status, event.ticket) == ("sigue fallando", status, ticket.brief())
    assert (ticket.status, ticket.version, ticket.course_at) == ("in_progress", before.version + 1, at)
    assert (ticket.resolution_code, ticket.resolution_text, ticket.resolved_at, ticket.closed_at) == (None,) * 4
    assert (ticket.assignee, ticket.owner, ticket.hold_reason, ticket.first_responded_at) == ("bruno", "ana", None, NOW)


@pytest.mark.parametrize("status", ["resolved", "closed"])
def test_a_ticket_is_reopened_until_its_window_ends_whenever_it_was_closed(status: Status) -> None:
    before = settled(status)
    assert before.reopenable_until == IN_FIVE_BUSINESS_DAYS
    assert before.closes_at == (IN_THREE_BUSINESS_DAYS if status == "resolved" else None)
    reopened, _ = before.reopen("x", at=IN_FIVE_BUSINESS_DAYS)
    assert (reopened.status, reopened.reopenable_until, reopened.closes_at) == ("in_progress", None, None)
    with pytest.raises(ReopenWindowPassed) as refused:
        before.reopen("x", at=IN_FIVE_BUSINESS_DAYS + STEP)
    until = "2026-11-09T21:00:00+00:00"
    assert f"T-000001 could be reopened until {until}: open a new one and name it there" in refused.value.message
    assert refused.value.extra == {"reopenable_until": until}


def test_what_is_settled_again_has_its_windows_anew() -> None:
    ticket, _ = settled("resolved").reopen("sigue fallando", at=IN_FIVE_BUSINESS_DAYS)
    ticket, _ = ticket.resolve("configuracion", "ahora sí", at=NOW + timedelta(days=8))
    assert (ticket.reopenable_until, ticket.closes_at) == (
        IN_FIVE_BUSINESS_DAYS + timedelta(days=8), IN_FIVE_BUSINESS_DAYS + timedelta(days=4),
    )  # fmt: skip
    ticket, _ = ticket.reopen("otra vez", at=NOW + timedelta(days=13))
    assert (ticket.status, ticket.resolved_at) == ("in_progress", None)


@pytest.mark.parametrize("status", ["new", "in_progress", "on_hold"])
def test_what_was_never_settled_is_not_reopened(status: Status) -> None:
    with pytest.raises(ActionNotAllowed, match=f"T-000001 is {status}, so it cannot take 'reopen'"):
        ticket_in(status).reopen("x", at=NOW)


def test_after_a_reopening_nothing_is_told_of_the_time_before_it() -> None:
    ticket, _ = settled("resolved").reopen("sigue fallando", at=NOW + timedelta(hours=2))
    with pytest.raises(OccurredBeforeItBegan, match="when T-000001 was released or reopened"):
        ticket.hold("third-party", "x", at=NOW + timedelta(hours=1), now=NOW)
    held, _ = ticket.hold("third-party", "x", at=NOW + timedelta(hours=2), now=NOW)
    assert held.status == "on_hold"


@pytest.mark.parametrize("status", ["new", "in_progress", "on_hold"])
def test_a_cancelled_ticket_has_ended_without_a_resolution_and_its_hold_with_it(status: Status) -> None:
    before, at = ticket_in(status), NOW + timedelta(hours=1)
    ticket, (event,) = before.cancel("duplicado de T-000009", at=at)
    assert isinstance(event, TicketCancelled)
    assert (event.reason, event.ticket) == ("duplicado de T-000009", ticket.brief())
    assert (event.ticket.status, event.ticket.hold) == ("cancelled", None)
    assert (ticket.version, ticket.cancelled_at, ticket.course_at) == (before.version + 1, at, at)
    assert (ticket.hold_reason, ticket.hold_note, ticket.held_at) == (None, None, None)
    assert (ticket.resolved_at, ticket.closed_at, ticket.assignee) == (None, None, before.assignee)


@pytest.mark.parametrize("status", ["resolved", "closed"])
def test_what_was_settled_is_not_cancelled(status: Status) -> None:
    before = ticket_in(status)
    with pytest.raises(Conflict, match=f"T-000001 is {status}") as refused:
        before.cancel("x", at=NOW)
    assert "cancel" not in refused.value.extra["allowed"]


def test_a_cancelled_ticket_is_only_written_about_however_soon() -> None:
    ticket = ticket_in("cancelled")
    for action, do in DO.items():
        if action in ("note", "leave", "link", "unlink"):
            assert do(ticket)[0].status == "cancelled"
            continue
        with pytest.raises(TicketAlreadyCancelled, match="T-000001 is cancelled: open a new one and name it there"):
            do(ticket)
    with pytest.raises(TicketAlreadyCancelled):
        ticket.escalate(ticket.id, "development", "x", NOTHING_KNOWN)
