"""Kafka in: what sla does when something happened to a ticket."""

from __future__ import annotations

from collections.abc import Sequence

from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.sla import ClockKind
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
from sla import projections
from sla.commands import clocks as commands
from sla.commands.clocks import OpenedTicket, Told
from sla.domain.clock import Fact, FactKind
from sla.domain.target import Judged

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
            ticket_id=event.data.ticket_id,
            client_id=event.data.ticket.groups.client_id,
            judged=Judged.of(event.data.ticket),
            start=Fact(event.id, FactKind.START, event.data.ticket.reported_at, event.sequence),
            cause=event.cause(actor=ACTOR, recorded_at=now),
        )
        for event in events
    ]
    await commands.start_clocks(tx, opened, now)


# What each event means to a clock, and to which of the two when it is not both. The first answer to the client stops
# the response clock and leaves the resolution alone; a hold pauses the resolution where the contract allows its reason;
# the resolution stops both, since an answer that solves everything is a first response too. Reopening goes on with the
# resolution: the interval in which it was taken for settled counts as a pause.
MEANING: dict[type[TicketEvent], tuple[FactKind, ClockKind | None]] = {
    TicketResponded: (FactKind.STOP, "response"),
    TicketHeld: (FactKind.PAUSE, "resolution"),
    TicketReleased: (FactKind.RESUME, "resolution"),
    TicketResolved: (FactKind.STOP, None),
    TicketReopened: (FactKind.REOPEN, "resolution"),
    TicketCancelled: (FactKind.CANCEL, None),
}


@reacts_to(*MEANING, many=True)
async def refold_clocks(tx: Transaction, events: Sequence[Received[TicketEvent]]) -> None:
    """Whatever happened to a ticket becomes a fact of its clocks, and the clocks are folded anew."""
    now = clock.now()
    told = []
    for event in events:
        kind, concerns = MEANING[type(event.data)]
        reason = event.data.reason if isinstance(event.data, TicketHeld) else None
        fact = Fact(event.id, kind, event.occurred_at, event.sequence, concerns, reason=reason)
        told.append(Told(event.data.ticket_id, fact, event.cause(actor=ACTOR, recorded_at=now)))
    await commands.record_facts(tx, told, now)
