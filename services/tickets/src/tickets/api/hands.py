"""Hands over HTTP: who works on a ticket, who keeps the contact, who takes part, and how it goes up and down."""

from fastapi import Response
from pydantic import Field

from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.tickets import AttentionReason, ParticipantRole, Target
from shared.http.auth import Caller, CauseDep, needs
from shared.http.idempotency import Idempotency
from shared.http.limits import CleanText
from shared.http.preconditions import IfMatch
from shared.http.transaction import Tx
from tickets.api.addresses import TicketId
from tickets.api.answers import Body, TicketChanged, answer_done
from tickets.api.callers import router_of
from tickets.commands import tickets as commands
from tickets.domain.escalation import reach_of

router = router_of("tickets")


class AssignBody(Body):
    """Who takes the ticket; the caller when left out."""

    assignee: PersonId | None = None


class TakeNextBody(Body):
    """Of which of your teams; of all of them when left out."""

    team: Code | None = None


class EscalateBody(Body):
    """To whom, and why."""

    target: Target
    reason: CleanText
    tried: CleanText | None = Field(default=None, description="what was tried, and what came of it")


class DeescalateBody(Body):
    """Why it comes down."""

    reason: CleanText


class HandOverBody(Body):
    """Who keeps the contact with the client from now on, and why."""

    owner: PersonId
    reason: CleanText | None = None


class ParticipantBody(Body):
    """Who takes part, the caller when left out, and as what."""

    person_id: PersonId | None = None
    role: ParticipantRole = "working"


class AnswerBody(Body):
    """What the ticket calls for, and there is nothing to do about."""

    reason: AttentionReason


@router.post("/tickets/{ticket_id}/assign", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def assign_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: AssignBody
) -> Response:
    """Puts the ticket into somebody's hands."""
    assignee = body.assignee or cause.actor
    done = await commands.assign_ticket(tx, cause, ticket_id, assignee=assignee, expected=expected)
    return await answer_done(idempotency, done)


@router.post("/take-next", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def take_next(tx: Tx, cause: CauseDep, idempotency: Idempotency, body: TakeNextBody | None = None) -> Response:
    """Puts the most urgent ticket of your queues that nobody has into your hands; nobody else gets the same one."""
    return await answer_done(idempotency, await commands.take_next(tx, cause, team=body.team if body else None))


@router.post("/tickets/{ticket_id}/escalate", response_model=TicketChanged, dependencies=[needs("ticket:escalate")])
async def escalate_ticket(
    expected: IfMatch,
    tx: Tx,
    cause: CauseDep,
    caller: Caller,
    idempotency: Idempotency,
    ticket_id: TicketId,
    body: EscalateBody,
) -> Response:
    """Hands the ticket up: to the analysts (level 2), functional analysis or Development (level 3).

    Level 3 needs `ticket:derive`, and past the analysts `ticket:skip-level`; a P1/S1 needs neither.
    """
    reach = reach_of(caller.permissions)
    done = await commands.escalate_ticket(
        tx, cause, ticket_id, target=body.target, reason=body.reason, tried=body.tried, reach=reach, expected=expected
    )
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/de-escalate", response_model=TicketChanged, dependencies=[needs("ticket:escalate")])
async def deescalate_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: DeescalateBody
) -> Response:
    """Brings the ticket one level down: to whoever had it there last, else into that level's queue."""
    done = await commands.deescalate_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/hand-over", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def hand_over_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: HandOverBody
) -> Response:
    """Lets somebody else keep the contact with the client; who works on it stays."""
    done = await commands.hand_over_ticket(
        tx, cause, ticket_id, owner=body.owner, reason=body.reason, expected=expected
    )
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/join", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def join_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: ParticipantBody
) -> Response:
    """Lets somebody take part beside owner and assignee: as a contact, working, or watching."""
    person_id = body.person_id or cause.actor
    done = await commands.join_ticket(tx, cause, ticket_id, person_id=person_id, role=body.role, expected=expected)
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/leave", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def leave_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: ParticipantBody
) -> Response:
    """Ends somebody's part."""
    person_id = body.person_id or cause.actor
    done = await commands.leave_ticket(tx, cause, ticket_id, person_id=person_id, role=body.role, expected=expected)
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/answer", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def answer_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: AnswerBody
) -> Response:
    """Says that there is nothing to do about what the ticket calls for; whatever its addressee does answers it too."""
    done = await commands.answer_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await answer_done(idempotency, done)
