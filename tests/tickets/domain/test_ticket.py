"""The life of a ticket: what each action changes and tells, and what holds after any sequence of actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.tickets import (
    EnvironmentBrief,
    HoldBrief,
    Target,
    TicketAssigned,
    TicketEscalated,
    TicketOpened,
    TicketReleased,
    TicketResolved,
    TicketResponded,
)
from shared.instants import STEP
from shared.lateness import OccurredBeforeItBegan
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, OPENING, new_ticket, ticket_in
from tickets.domain.escalation import EVERYWHERE, LevelSkipped, NotAStep, NotYoursToDerive, Reach
from tickets.domain.hands import AlreadyAssigned
from tickets.domain.opening import Handover
from tickets.domain.ticket import Ticket

# How its urgency came about.
JUDGED = {
    "severity_derived": 2, "severity_reason": None, "priority_derived": 3, "priority_reason": None,
    "priority_rule": "contrato-plata", "urgency_scheme": "de-fabrica",
}  # fmt: skip


def test_opening_tells_everything_that_the_others_need() -> None:
    ticket, (opened,) = Ticket.open(UUID(int=1), "T-000001", OPENING, at=NOW, by="ana")
    assert isinstance(opened, TicketOpened)
    assert (ticket.status, ticket.level, ticket.version, ticket.assignee) == ("new", 1, 1, None)
    assert (ticket.owner, ticket.team) == ("ana", None)
    assert opened.model_dump() == {
        "ticket_id": UUID(int=1),
        "ticket": {
            "number": "T-000001",
            "version": 1,
            "status": "new",
            "level": 1,
            "target": None,
            "team": None,
            "owner": "ana",
            "assignee": None,
            "groups": {"client_id": "molinos", "product_id": "gestion", "module_id": "facturacion"},
            "installation_id": None,
            "kind": "incident",
            "severity": 2,
            "priority": 3,
            "immediate": False,
            "reported_at": NOW,
            "hold": None,
        },
        "severity_to_review": False,
        "impact": {"operational": 2, "economic": 2},
        **JUDGED,
        "category": None,
        "answers": (),
        "title": "No se pueden emitir facturas",
        "description": "Error al pedir el CAE",
        "reporter": "Marta Giménez",
        "channel": "phone",
        "reported_late_reason": None,
    }


def test_every_fact_carries_the_ticket_as_it_is_after_it() -> None:
    at = NOW + timedelta(minutes=20)
    ticket, (event,) = new_ticket(severity=1, priority=1).hold("third-party", "esperamos a ARCA", at=at, now=NOW)
    brief = event.ticket
    assert (brief.status, brief.version, brief.immediate) == ("on_hold", 2, True)
    assert brief.hold == HoldBrief(reason="third-party", since=at)
    ticket, (event,) = ticket.assign("bruno")
    assert (event.ticket.assignee, event.ticket.owner, event.ticket.hold) == ("bruno", "ana", brief.hold)
    _, (event,) = ticket.release(at=at)
    assert (event.ticket.status, event.ticket.hold, event.ticket.assignee) == ("in_progress", None, "bruno")


def test_assigning_tells_who_had_it_before() -> None:
    ticket, _ = new_ticket().assign("bruno")
    ticket, (event,) = ticket.assign("carla")
    assert isinstance(event, TicketAssigned)
    assert (event.assignee, event.previous_assignee, event.ticket.level) == ("carla", "bruno", 1)
    assert ticket.assignee == "carla"


def test_a_ticket_is_not_assigned_twice_to_the_same_person() -> None:
    ticket, _ = new_ticket().assign("bruno")
    with pytest.raises(AlreadyAssigned, match="T-000001 is already assigned to bruno"):
        ticket.assign("bruno")


def test_escalating_leaves_the_ticket_in_the_queue_of_the_next_level_with_all_that_is_known() -> None:
    ticket, _ = new_ticket().assign("ana")
    ticket, _ = ticket.escalate(UUID(int=5), "analysts", "excede al nivel 1", NOTHING_KNOWN)
    assert (ticket.level, ticket.target, ticket.assignee, ticket.status) == (2, "analysts", None, "in_progress")
    known = Handover(
        EnvironmentBrief(installation_id="molinos-gestion", product_version="8.2"), NOW + timedelta(hours=4)
    )
    ticket, (event,) = ticket.escalate(
        UUID(int=6), "development", "hay que corregir el código", known, Reach(derive=True)
    )
    assert isinstance(event, TicketEscalated)
    assert (event.from_level, event.to_level, event.target, event.escalation_id) == (2, 3, "development", UUID(int=6))
    assert event.environment == known.environment
    assert event.resolution_due_at == NOW + timedelta(hours=4)
    assert (event.title, event.ticket.severity, event.ticket.groups) == (OPENING.title, 2, OPENING.groups)
    assert (event.ticket.level, event.ticket.target, event.ticket.assignee) == (3, "development", None)


@pytest.mark.parametrize("target", ["functional-analysis", "development"])
def test_level_one_does_not_skip_the_analysts(target: Target) -> None:
    with pytest.raises(LevelSkipped, match="escalate it to analysts first"):
        new_ticket(severity=1, priority=2).escalate(UUID(int=5), target, "apuro", NOTHING_KNOWN)


def test_p1_s1_goes_straight_to_development() -> None:
    ticket, (event,) = new_ticket(severity=1, priority=1).escalate(
        UUID(int=5), "development", "todo parado", NOTHING_KNOWN
    )
    assert isinstance(event, TicketEscalated)
    assert (event.from_level, event.to_level, ticket.level) == (1, 3, 3)


def test_a_supervisor_sends_a_ticket_straight_to_functional_analysis() -> None:
    ticket, _ = new_ticket().escalate(UUID(int=5), "functional-analysis", "lo pidió", NOTHING_KNOWN, EVERYWHERE)
    assert (ticket.level, ticket.target) == (3, "functional-analysis")


@pytest.mark.parametrize("target", ["functional-analysis", "development"])
def test_the_third_level_is_asked_by_whoever_may_derive_and_by_anybody_on_a_p1_s1(target: Target) -> None:
    at_analysts, _ = new_ticket().escalate(UUID(int=5), "analysts", "excede", NOTHING_KNOWN)
    with pytest.raises(NotYoursToDerive, match="ticket:derive"):
        at_analysts.escalate(UUID(int=6), target, "x", NOTHING_KNOWN)
    derived, _ = at_analysts.escalate(UUID(int=6), target, "x", NOTHING_KNOWN, Reach(derive=True))
    urgent, _ = new_ticket(severity=1, priority=1).escalate(UUID(int=5), "analysts", "excede", NOTHING_KNOWN)
    urgent, _ = urgent.escalate(UUID(int=6), target, "x", NOTHING_KNOWN)
    assert (derived.level, urgent.level) == (3, 3)


def test_whoever_may_derive_does_not_thereby_skip_the_analysts() -> None:
    with pytest.raises(LevelSkipped) as refused:
        new_ticket().escalate(UUID(int=5), "development", "x", NOTHING_KNOWN, Reach(derive=True))
    assert refused.value.extra["permission"] == "ticket:skip-level"


def test_development_may_be_asked_again_under_another_id() -> None:
    ticket, _ = new_ticket(severity=1, priority=1).escalate(UUID(int=5), "development", "todo parado", NOTHING_KNOWN)
    again, (event,) = ticket.escalate(UUID(int=6), "development", "la corrección no alcanzó", NOTHING_KNOWN)
    assert isinstance(event, TicketEscalated)
    assert (event.from_level, event.to_level, event.escalation_id) == (3, 3, UUID(int=6))
    assert again.version == ticket.version + 1


@pytest.mark.parametrize("target", ["analysts", "functional-analysis"])
def test_a_ticket_does_not_go_down_or_stay_by_escalating(target: Target) -> None:
    ticket, _ = new_ticket().escalate(UUID(int=5), "functional-analysis", "x", NOTHING_KNOWN, EVERYWHERE)
    with pytest.raises(NotAStep, match="possible: development"):
        ticket.escalate(UUID(int=6), target, "x", NOTHING_KNOWN)


def test_only_the_first_answer_to_the_client_is_the_first() -> None:
    ticket, (first,) = new_ticket().respond("phone", "lo vemos", at=NOW)
    ticket, (second,) = ticket.respond("mail", "sigue en curso", at=NOW + timedelta(hours=1))
    assert isinstance(first, TicketResponded)
    assert isinstance(second, TicketResponded)
    assert (first.first, second.first) == (True, False)
    assert ticket.first_responded_at == NOW


def test_releasing_tells_the_reason_of_the_hold_that_ended() -> None:
    ticket, (event,) = ticket_in("on_hold").release(at=NOW)
    assert isinstance(event, TicketReleased)
    assert event.reason == "waiting-for-client"
    assert (ticket.hold_reason, ticket.hold_note, ticket.held_at) == (None, None, None)


@pytest.mark.parametrize(("status", "was_held"), [("on_hold", True), ("in_progress", False)])
def test_resolving_ends_a_running_hold(status: Any, was_held: bool) -> None:
    ticket, (event,) = ticket_in(status).resolve("configuracion", "listo", at=NOW)
    assert isinstance(event, TicketResolved)
    assert event.was_held is was_held
    assert (ticket.hold_reason, ticket.held_at, ticket.resolved_at) == (None, None, NOW)


def test_work_rests_and_goes_on_in_the_order_of_what_happened_whenever_it_is_told() -> None:
    held, _ = new_ticket().hold("waiting-for-client", "x", at=NOW + timedelta(minutes=20), now=NOW)
    with pytest.raises(OccurredBeforeItBegan, match="T-000001 was put on hold"):
        held.release(at=NOW + timedelta(minutes=20) - STEP)
    released, (event,) = held.release(at=NOW + timedelta(minutes=20), late_reason="sin línea")
    assert isinstance(event, TicketReleased)
    assert event.occurred_late_reason == "sin línea"
    with pytest.raises(OccurredBeforeItBegan, match="T-000001 was released"):
        released.hold("third-party", "x", at=NOW + timedelta(minutes=19), now=NOW)
    with pytest.raises(OccurredBeforeItBegan, match="T-000001 was released"):
        released.resolve("configuracion", "x", at=NOW + timedelta(minutes=19))
    resolved, _ = released.resolve("configuracion", "x", at=NOW + timedelta(minutes=20))
    assert resolved.course_at == resolved.resolved_at == NOW + timedelta(minutes=20)


def test_what_the_client_was_told_does_not_depend_on_when_the_work_rested() -> None:
    held, _ = new_ticket().hold("waiting-for-client", "x", at=NOW + timedelta(minutes=20), now=NOW)
    answered, _ = held.respond("phone", "x", at=NOW + timedelta(minutes=5))
    assert (answered.first_responded_at, answered.course_at) == (NOW + timedelta(minutes=5), held.held_at)
    with pytest.raises(OccurredBeforeItBegan, match="was first told something"):
        answered.respond("phone", "x", at=NOW + timedelta(minutes=4))
    with pytest.raises(OccurredBeforeItBegan, match="T-000001 was reported"):
        held.respond("phone", "x", at=NOW - STEP)


def test_whoever_hands_a_ticket_on_answers_what_called_its_assignee() -> None:
    ticket = new_ticket().assign("bruno")[0].call("breached", at=NOW)[0]
    assert [one.addressee for one in ticket.attention] == ["assignee"]
    queued, _ = ticket.escalate(UUID(int=8), "analysts", "excede", NOTHING_KNOWN)
    answered, (cleared,) = queued.answered_by("bruno")
    assert (answered.attention, cleared.type) == ((), "desk.ticket.attention-cleared.v1")
