"""What follows from an impact, what is chosen instead, and what is attended at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.tickets import ImpactAnswers
from tests.tickets.domain.shipped import SHIPPED
from tests.tickets.domain.tickets import NOW as OPENED
from tests.tickets.domain.tickets import OPENING, new_ticket
from tickets.domain.contract import ClosingDays, KnownContract
from tickets.domain.scheme import Facts
from tickets.domain.ticket import Ticket
from tickets.domain.urgency import (
    NoScheme,
    ReasonMissing,
    Stated,
    facts_of,
    needs_immediate_attention,
    require_scheme,
    settle,
)

NOW = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)
PLATA = Facts(tier="plata", kind="incident", standing="in-force", contract_type="plata")

levels = st.integers(1, 4)
answers = st.none() | levels


@given(answers, answers, st.none() | levels, st.none() | st.just("porque sí"), st.none() | levels)
def test_derived_and_chosen_are_both_kept_and_only_another_one_needs_a_reason(
    operational: int | None, economic: int | None, severity: int | None, reason: str | None, priority: int | None
) -> None:
    impact = ImpactAnswers(operational=operational, economic=economic)
    derived = SHIPPED.matrix[(operational or 3) - 1][(economic or 3) - 1]
    stated = Stated(impact, severity, reason, priority, "lo pide el gerente")
    if severity not in (None, derived) and reason is None:
        with pytest.raises(ReasonMissing, match=rf"follows is {derived}: say in severity_reason why it is {severity}"):
            settle(SHIPPED, stated, PLATA)
        return
    found = settle(SHIPPED, stated, PLATA)
    assert (found.severity_derived, found.severity) == (derived, severity or derived)
    assert found.severity_reason == (reason if severity not in (None, derived) else None)
    assert found.severity_to_review == (None in (operational, economic))
    assert (found.priority_derived, found.priority) == (3, priority or 3)
    assert found.priority_reason == ("lo pide el gerente" if priority not in (None, 3) else None)
    assert (found.impact, found.priority_rule, found.urgency_scheme) == (impact, "contrato-plata", "de-fabrica")


def test_the_contract_of_the_product_decides() -> None:
    since = NOW - timedelta(days=300)
    days = ClosingDays("comercial", 5, 3)
    general = KnownContract("general", 1, since, "plata", since, None, 16 * 3600, days)
    ended = NOW - timedelta(days=9)
    kontar = KnownContract("kontar", 1, since, "platino", since, ended, 4 * 3600, days, ("kontar",))
    found, choice = facts_of("oro", [general, kontar], "kontar", "question", NOW - timedelta(days=10))
    assert (choice.contract, choice.standing) == (kontar, "in-force")
    assert found == Facts("oro", "question", "in-force", "platino", 4 * 3600)
    found, choice = facts_of("oro", [kontar], "kontar", "question", NOW)
    assert (choice.contract, found.standing, found.contract_type) == (kontar, "vencido", "platino")
    assert facts_of("oro", [kontar], "factela", "question", NOW)[0] == Facts("oro", "question", "none")


def test_without_a_scheme_nobody_guesses() -> None:
    assert require_scheme(SHIPPED, NOW) is SHIPPED
    with pytest.raises(NoScheme, match="run `migrate`"):
        require_scheme(None, NOW)


def test_only_p1_s1_is_attended_at_once() -> None:
    immediate = {(s, p) for s in range(1, 5) for p in range(1, 5) if needs_immediate_attention(s, p)}
    assert immediate == {(1, 1)}


def reopened(ticket: Ticket, times: int) -> list[tuple[int, int | None]]:
    """Priority, and what of it is derived, after each of so many reopenings."""
    found = []
    for _ in range(times):
        ticket, _ = ticket.resolve("configuracion", "listo", at=OPENED)
        ticket, (event,) = ticket.reopen("volvió a pasar", at=OPENED, scheme=SHIPPED)
        assert event.ticket.priority == ticket.opening.priority
        found.append((ticket.opening.priority, ticket.opening.priority_derived))
    return found


def test_the_third_reopening_makes_a_ticket_more_urgent_once() -> None:
    assert reopened(new_ticket(), 4) == [(3, 3), (3, 3), (2, 2), (2, 2)]
    assert reopened(new_ticket(priority=1, priority_derived=1), 3)[-1] == (1, 1)


def test_a_priority_that_somebody_chose_stays_what_they_chose() -> None:
    chosen = new_ticket(priority=4, priority_reason="cliente tranquilo")
    assert reopened(chosen, 3) == [(4, 3), (4, 3), (4, 2)]


def test_what_was_opened_before_impact_was_asked_keeps_its_priority() -> None:
    before = replace(OPENING, priority_derived=None)
    assert reopened(replace(new_ticket(), opening=before), 3)[-1] == (3, None)
