"""What devlink does when something happens elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from devlink import commands, projections
from devlink.settings import PublicAddress
from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.tickets import TicketEscalated, TicketEvent
from shared.db.transaction import Transaction
from shared.messaging.reactions import projects, reacts_to

ACTOR = "system:devlink"


@projects(*projections.PROJECTIONS.rows)
async def keep_tickets(tx: Transaction, events: Sequence[Received[TicketEvent]]) -> None:
    """Every ticket as it is now."""
    await projections.PROJECTIONS.apply(tx, events)


@reacts_to(TicketEscalated, many=True)
async def create_task(tx: Transaction, events: Sequence[Received[TicketEscalated]]) -> None:
    """An escalation to Development gets its one task. What an import tells gives nobody work."""
    now = clock.now()
    wanted = [event for event in events if event.data.target == "development" and event.origin == "live"]
    if wanted:
        causes = [event.cause(actor=ACTOR, recorded_at=now) for event in wanted]
        await commands.create_tasks(tx, causes, [event.data for event in wanted], address=PublicAddress())
