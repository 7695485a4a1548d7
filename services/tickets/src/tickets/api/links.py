"""Links over HTTP: what a ticket is to another one."""

from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import ConfigDict, Field, StringConstraints

from shared.contracts.tickets import Relation
from shared.http.auth import CauseDep, needs
from shared.http.idempotency import Idempotency
from shared.http.limits import CleanText
from shared.http.preconditions import IfMatch
from shared.http.transaction import Tx
from tickets.api.answers import Body, TicketChanged, answer_done
from tickets.api.callers import router_of
from tickets.commands import links as commands

router = router_of("tickets")

_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Named = Annotated[str, StringConstraints(pattern=rf"^(([tT]-)?[0-9]{{1,12}}|{_UUID})$")]


class LinkBody(Body):
    """What this ticket is to which other one, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"relation": "duplicate_of", "other": "T-000041", "reason": "mismo llamado"}]}
    )

    relation: Relation = Field(description="`has_duplicate` and `cause_of` say it from the other end")
    other: Named = Field(description="its number, or its id", examples=["T-000041"])
    reason: CleanText | None = None


@router.post("/tickets/{ticket_id}/link", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def link_tickets(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: LinkBody
) -> Response:
    """Says what the ticket is to another one, in whatever state they are; both show it, and both have it in their
    history.

    A ticket is a duplicate of one at most, and never in a circle.
    """
    done = await commands.link_tickets(tx, cause, ticket_id, **body.model_dump(), expected=expected)
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/unlink", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def unlink_tickets(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: LinkBody
) -> Response:
    """Ends a link, as either of its tickets shows it; the history of both keeps it."""
    done = await commands.unlink_tickets(tx, cause, ticket_id, **body.model_dump(), expected=expected)
    return await answer_done(idempotency, done)
