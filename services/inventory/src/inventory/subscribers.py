"""What inventory does when something happens elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from inventory import commands, projections
from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.tickets import TicketClassified, TicketEvent, TicketOpened
from shared.db.transaction import Transaction
from shared.messaging.reactions import projects, reacts_to

ACTOR = "system:inventory"


@projects(*projections.PROJECTIONS.rows)
async def keep_tickets(tx: Transaction, events: Sequence[Received[TicketEvent]]) -> None:
    """Every ticket as it is now."""
    await projections.PROJECTIONS.apply(tx, events)


@reacts_to(TicketOpened, TicketClassified, many=True)
async def attach_environment(tx: Transaction, events: Sequence[Received[TicketOpened | TicketClassified]]) -> None:
    """Every ticket that opens gets the environment of its client, or the reason why nobody knows it; and the next one
    when it is completed."""
    now = clock.now()
    causes = [event.cause(actor=ACTOR, recorded_at=now) for event in events]
    await commands.attach_environments(tx, causes, [event.data for event in events])
