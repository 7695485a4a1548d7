"""The clocks of a ticket over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from shared import clock
from shared.errors import NotFound
from shared.http.auth import needs
from shared.http.transaction import Reading
from sla.queries import clocks as queries
from sla.queries.clocks import ClockExplanation, TicketClocks

router = APIRouter(prefix="/v1", tags=["sla"])


class NoClocks(NotFound):
    """No clock of this ticket was started."""

    code = "no-clocks"
    title = "The ticket has no clocks"


@router.get("/tickets/{ticket_id}/clocks", dependencies=[needs("ticket:read")])
async def get_ticket_clocks(tx: Reading, ticket_id: UUID) -> TicketClocks:
    """The clocks of a ticket now, each with every interval, whether it counts, and why."""
    found = await queries.get_ticket_clocks(tx, ticket_id, clock.now())
    if found is None:
        raise NoClocks(f"Ticket {ticket_id} has no clocks: there is no such ticket, or it opened a moment ago.")
    return found


@router.get("/tickets/{ticket_id}/clocks/{clock_id}/explanation", dependencies=[needs("ticket:read")])
async def explain_clock(tx: Reading, ticket_id: UUID, clock_id: UUID) -> ClockExplanation:
    """How a clock came to where it stands: each stretch, counted or not and why, the sum, the target and the due."""
    found = await queries.explain_clock(tx, ticket_id, clock_id, clock.now())
    if found is None:
        raise NoClocks(f"Ticket {ticket_id} has no clock {clock_id}: GET /v1/tickets/{ticket_id}/clocks lists them.")
    return found
