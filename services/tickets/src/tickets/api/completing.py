"""Completing over HTTP: what nobody could say when a ticket opened."""

from uuid import UUID

from fastapi import Response
from pydantic import ConfigDict

from shared.contracts.envelope import Code
from shared.http.auth import CauseDep, needs
from shared.http.idempotency import Idempotency
from shared.http.preconditions import IfMatch
from shared.http.transaction import Tx
from tickets.api.answers import Body, TicketChanged, answer_done
from tickets.api.callers import router_of
from tickets.commands import completing as commands
from tickets.domain.completing import Naming

router = router_of("tickets")


class CompleteBody(Body):
    """What can be said now: at least one of those that the ticket lacks, each of which is named once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"installation_id": "supermercados-la-yapa-kontar"}]})

    product_id: Code | None = None
    module_id: Code | None = None
    installation_id: Code | None = None


@router.post("/tickets/{ticket_id}/complete", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def complete_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: CompleteBody
) -> Response:
    """Names product, module or installation where nobody could at opening; the environment is read anew for it.

    While nobody has the ticket it goes to the queue of the team that covers it now.
    """
    done = await commands.complete_ticket(tx, cause, ticket_id, naming=Naming(**body.model_dump()), expected=expected)
    return await answer_done(idempotency, done)
