"""What a ticket is promised, and why, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shared import clock
from shared.contracts.tickets import Kind, Priority, Severity
from shared.http.auth import needs
from shared.http.transaction import Reading
from shared.stated import Instant
from shared.target_choice import Judged
from sla.queries import promises as queries
from sla.queries.promises import PromiseView, TicketPromise, Wondered

router = APIRouter(prefix="/v1", tags=["sla"])

_CODE = r"^[a-z0-9-]{2,40}$"
Of = Annotated[str | None, Query(pattern=_CODE)]


@router.get("/promises", dependencies=[needs("contract:read")])
async def wonder(
    tx: Reading,
    severity: Severity,
    priority: Priority,
    kind: Kind = "incident",
    client: Of = None,
    product: Of = None,
    module: Of = None,
    reported_at: Annotated[Instant | None, Query(description="now when left out")] = None,
) -> PromiseView:
    """Which contract and targets a ticket would have, and why; nothing is stored."""
    judged = Judged(kind, severity, priority, product, module)
    return await queries.wonder(tx, Wondered(client, judged, reported_at or clock.now()))


@router.get("/tickets/{ticket_id}/promise", dependencies=[needs("ticket:read")])
async def explain_ticket(tx: Reading, ticket_id: UUID) -> TicketPromise:
    """Which contract and targets the ticket has by what is recorded now, and why; and what its clocks started under."""
    return await queries.explain_ticket(tx, ticket_id)
