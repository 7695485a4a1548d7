"""Kafka in: what sla does when something happened to a ticket."""

from __future__ import annotations

from collections.abc import Sequence

from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.tickets import (
    TicketCancelled,
    TicketEvent,
    TicketHeld,
    TicketOpened,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from shared.db.transaction import Transaction
from shared.messaging.reactions import projects, reacts_to
from shared.target_choice import Judged
from sla import projections
from sla.commands import clocks as commands
from sla.commands.clocks import OpenedTicket, Told
from sla.domain.meaning import told_by

ACTOR = "system:sla"


@projects(*projections.PROJECTIONS.rows)
async def keep_tickets(tx: Transaction, events: Sequence[Received[TicketEvent]]) -> None:
    """Every ticket as it is now."""
    await projections.PROJECTIONS.apply(tx, events)


@reacts_to(TicketOpened, many=True)
async def start_clocks(tx: Transaction, events: Sequence[Received[TicketOpened]]) -> None:
    """Both clocks start when the client reported, not when the ticket was opened."""
    now = clock.now()
    opened = [
        OpenedTicket(
            client_id=event.data.ticket.groups.client_id,
            judged=Judged.of(event.data.ticket),
            start=told_by(event),
            cause=event.cause(actor=ACTOR, recorded_at=now),
        )
        for event in events
    ]
    await commands.start_clocks(tx, opened, now)


@reacts_to(TicketResponded, TicketHeld, TicketReleased, TicketResolved, TicketReopened, TicketCancelled, many=True)
async def refold_clocks(tx: Transaction, events: Sequence[Received[TicketEvent]]) -> None:
    """Whatever happened to a ticket becomes a fact of its clocks, and the clocks are folded anew."""
    now = clock.now()
    told = [Told(told_by(event), event.cause(actor=ACTOR, recorded_at=now)) for event in events]
    await commands.record_facts(tx, told, now)
