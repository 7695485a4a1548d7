"""Tickets for the tests of the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from shared.contracts.tickets import Groups, ImpactAnswers, Status
from tickets.domain.escalation import EVERYWHERE
from tickets.domain.opening import Handover, Opening
from tickets.domain.ticket import Ticket

NOW = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)
# What is usual, counted from that Monday.
IN_THREE_BUSINESS_DAYS = datetime(2026, 11, 5, 21, 0, tzinfo=UTC)
IN_FIVE_BUSINESS_DAYS = datetime(2026, 11, 9, 21, 0, tzinfo=UTC)
NOTHING_KNOWN = Handover(environment=None, resolution_due_at=None)

OPENING = Opening(
    kind="incident",
    groups=Groups(client_id="molinos", product_id="gestion", module_id="facturacion"),
    installation_id=None,
    severity=2,
    severity_to_review=False,
    priority=3,
    title="No se pueden emitir facturas",
    description="Error al pedir el CAE",
    reporter="Marta Giménez",
    channel="phone",
    reported_at=NOW,
    reported_late_reason=None,
    impact=ImpactAnswers(operational=2, economic=2),
    severity_derived=2,
    severity_reason=None,
    priority_derived=3,
    priority_reason=None,
    priority_rule="contrato-plata",
    urgency_scheme="de-fabrica",
)


def closing_after(resolved_at: datetime, days: int) -> datetime:
    """Six in the evening of Buenos Aires, so many weekdays later; counted day by day."""
    there = resolved_at.astimezone(timezone(timedelta(hours=-3)))
    day = there.replace(hour=18, minute=0, second=0, microsecond=0)
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def new_ticket(**opening: Any) -> Ticket:
    """A ticket that was just opened."""
    ticket, _ = Ticket.open(UUID(int=1), "T-000001", replace(OPENING, **opening), at=NOW, by="ana")
    return ticket


def ticket_in(status: Status, level: int = 1) -> Ticket:
    """A ticket that reached a state on a level by its own actions; Inés works on it beside others."""
    ticket, _ = new_ticket().join("ines", "working", at=NOW)
    if level > 1:
        ticket, _ = ticket.escalate(UUID(int=5), "analysts", "excede", NOTHING_KNOWN)
    if level > 2:
        ticket, _ = ticket.escalate(UUID(int=6), "functional-analysis", "excede", NOTHING_KNOWN, EVERYWHERE)
    # No action leads a ticket that was handed up back to "new"; the rules do not rely on that.
    ticket = replace(ticket, status="new")
    if status == "in_progress":
        ticket, _ = ticket.assign("bruno")
    if status == "on_hold":
        ticket, _ = ticket.hold("waiting-for-client", "pedimos el log", at=NOW, now=NOW)
    if status in ("resolved", "closed"):
        ticket, _ = ticket.resolve("configuracion", "se corrigió", at=NOW)
    if status == "closed":
        ticket, _ = ticket.close(at=NOW)
    if status == "cancelled":
        ticket, _ = ticket.cancel("era del otro cliente", at=NOW)
    assert (ticket.status, ticket.level) == (status, level)
    return ticket
