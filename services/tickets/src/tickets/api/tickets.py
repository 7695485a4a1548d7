"""Tickets over HTTP: opening one, the actions on it, and its whole view."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from shared import clock
from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.tickets import Channel, HoldReason, Kind, Severity, Status, Target
from shared.http.auth import Caller, CauseDep, needs
from shared.http.dating import Dated
from shared.http.etag import etag_of
from shared.http.idempotency import Idempotency
from shared.http.limits import Clean, CleanLine, CleanText
from shared.http.preconditions import IfMatch
from shared.http.transaction import Reading, Tx
from shared.stated import AS_NUMBER, Instant
from tickets import commands
from tickets.api.answers import Body, written_by_the_database
from tickets.commands import Done, OpenTicket
from tickets.domain.escalation import Reach
from tickets.domain.urgency import Impact
from tickets.queries import tickets
from tickets.queries.tickets import TicketView

router = APIRouter(prefix="/v1", tags=["tickets"])

Answer = Annotated[int, Field(ge=1, le=4), AS_NUMBER] | None


class ImpactBody(Body):
    """The two questions that give the severity; null is «no sé» and counts as 3."""

    operational: Answer = Field(description="¿Quién no puede trabajar? 1 the company … 4 nobody")
    economic: Answer = Field(description="¿Qué se pierde si no se arregla hoy? 1 a loss today … 4 nothing")


class OpenTicketBody(Body):
    """One call, one request. Whatever the caller cannot say is left out, never guessed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "metalurgica-arenales",
                    "product_id": "kontar",
                    "kind": "incident",
                    "severity": 2,
                    "title": "No se pueden emitir facturas",
                }
            ]
        }
    )

    client_id: Code
    product_id: Code | None = None
    module_id: Code | None = None
    installation_id: Code | None = None
    kind: Kind
    severity: Annotated[Severity, AS_NUMBER] | None = Field(default=None, description="either this or `impact`")
    impact: ImpactBody | None = None
    title: CleanLine = Field(examples=["No se pueden emitir facturas"])
    description: Annotated[str, Clean(max_length=20_000, min_length=0)] = ""
    reporter: CleanLine | None = Field(default=None, examples=["Marta Giménez"])
    channel: Channel = "phone"
    reported_at: Instant | None = Field(
        default=None, description="start of the call, at most 90 days ago; now when left out"
    )
    reported_late_reason: CleanText | None = Field(default=None, description="needed after 15 minutes")

    def request(self) -> OpenTicket:
        """The command's form of it."""
        impact = Impact(self.impact.operational, self.impact.economic) if self.impact is not None else None
        return OpenTicket(impact=impact, **self.model_dump(exclude={"impact"}))


class AssignBody(Body):
    """Who takes the ticket; the caller when left out."""

    assignee: PersonId | None = None


class EscalateBody(Body):
    """To whom, and why."""

    target: Target
    reason: CleanText


class HoldBody(Body, Dated):
    """What is waited for, and what was asked or agreed."""

    reason: HoldReason
    note: CleanText


class ReleaseBody(Body, Dated):
    """When the waiting was over; now without a body."""


class RespondBody(Body, Dated):
    """What the client was told."""

    channel: Channel = "phone"
    text: CleanText


class ResolveBody(Body, Dated):
    """How the matter was settled."""

    code: Code = Field(examples=["error-corregido"])
    text: CleanText


class ReopenBody(Body):
    """Why it is not settled."""

    reason: CleanText


class CancelBody(Body):
    """Why it should not have been opened."""

    reason: CleanText


class TicketChanged(BaseModel):
    """What an action left. The whole ticket is at GET /v1/tickets/{id}."""

    id: UUID
    number: str
    version: int
    status: Status
    severity: int
    priority: int
    immediate: bool
    level: int
    target: Target | None
    team: str | None
    owner: str
    assignee: str | None
    facts: list[UUID] = Field(description="the ids of the facts that this request added to the history")


@router.post("/tickets", status_code=201, response_model=TicketChanged, dependencies=[needs("ticket:open")])
async def open_ticket(
    tx: Tx, cause: CauseDep, caller: Caller, idempotency: Idempotency, body: OpenTicketBody
) -> Response:
    """Registers an incident or a question. Environment, clocks and tasks follow by themselves within moments."""
    done = await commands.open_ticket(tx, cause, body.request(), may_be_late=caller.may("ticket:open-late"))
    place = f"/v1/tickets/{done.ticket.id}"
    return await idempotency.answer(_changed(done), version=done.ticket.version, status=201, location=place)


@router.post("/tickets/{ticket_id}/assign", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def assign_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: AssignBody
) -> Response:
    """Puts the ticket into somebody's hands."""
    assignee = body.assignee or cause.actor
    done = await commands.assign_ticket(tx, cause, ticket_id, assignee=assignee, expected=expected)
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/escalate", response_model=TicketChanged, dependencies=[needs("ticket:escalate")])
async def escalate_ticket(
    expected: IfMatch,
    tx: Tx,
    cause: CauseDep,
    caller: Caller,
    idempotency: Idempotency,
    ticket_id: UUID,
    body: EscalateBody,
) -> Response:
    """Hands the ticket up: to the analysts (level 2), functional analysis or Development (level 3).

    Level 3 needs `ticket:derive`, and past the analysts `ticket:skip-level`; a P1/S1 needs neither.
    """
    reach = Reach(derive=caller.may("ticket:derive"), skip_level=caller.may("ticket:skip-level"))
    done = await commands.escalate_ticket(
        tx, cause, ticket_id, target=body.target, reason=body.reason, reach=reach, expected=expected
    )
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/hold", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def hold_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: HoldBody
) -> Response:
    """Stops the work for a reason; whether a clock pauses is the contract's matter."""
    done = await commands.hold_ticket(
        tx, body.dated(cause), ticket_id, reason=body.reason, note=body.note, late_reason=body.occurred_late_reason,
        expected=expected,
    )  # fmt: skip
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/release", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def release_ticket(
    expected: IfMatch,
    tx: Tx,
    cause: CauseDep,
    idempotency: Idempotency,
    ticket_id: UUID,
    body: ReleaseBody | None = None,
) -> Response:
    """Ends the hold."""
    told = body or ReleaseBody()
    done = await commands.release_ticket(
        tx, told.dated(cause), ticket_id, late_reason=told.occurred_late_reason, expected=expected
    )
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/respond", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def respond_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: RespondBody
) -> Response:
    """Notes what the client was told; the first time stops the response clock."""
    done = await commands.respond_ticket(
        tx, body.dated(cause), ticket_id, channel=body.channel, text=body.text, late_reason=body.occurred_late_reason,
        expected=expected,
    )  # fmt: skip
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/resolve", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def resolve_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: ResolveBody
) -> Response:
    """Says how the matter was settled; the resolution clock stops, a running hold ends."""
    done = await commands.resolve_ticket(
        tx, body.dated(cause), ticket_id, code=body.code, text=body.text, late_reason=body.occurred_late_reason,
        expected=expected,
    )  # fmt: skip
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/close", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def close_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID
) -> Response:
    """Ends a resolved ticket; until 5 days after its resolution it may be reopened."""
    return await _answer(idempotency, await commands.close_ticket(tx, cause, ticket_id, expected=expected))


@router.post("/tickets/{ticket_id}/reopen", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def reopen_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: ReopenBody
) -> Response:
    """Goes on with a ticket that was resolved at most 5 days ago; its resolution clock counts on."""
    done = await commands.reopen_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await _answer(idempotency, done)


@router.post("/tickets/{ticket_id}/cancel", response_model=TicketChanged, dependencies=[needs("ticket:cancel")])
async def cancel_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: UUID, body: CancelBody
) -> Response:
    """Ends a ticket that should not have been opened; its clocks end with it, a breach that there was stands."""
    done = await commands.cancel_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await _answer(idempotency, done)


@router.get("/tickets/{ticket_id}", response_model=TicketView, dependencies=[needs("ticket:read")])
async def view_ticket(connection: Reading, ticket_id: UUID) -> Response:
    """Everything about a ticket in one answer: environment, clocks, tasks and the last 200 facts of its history."""
    version, view = await tickets.view_ticket(connection, ticket_id, clock.now())
    return written_by_the_database(view, etag=etag_of(version))


async def _answer(idempotency: Idempotency, done: Done) -> Response:
    return await idempotency.answer(_changed(done), version=done.ticket.version)


def _changed(done: Done) -> TicketChanged:
    ticket = done.ticket
    return TicketChanged(
        id=ticket.id,
        number=ticket.number,
        version=ticket.version,
        status=ticket.status,
        severity=ticket.opening.severity,
        priority=ticket.opening.priority,
        immediate=ticket.is_immediate,
        level=ticket.level,
        target=ticket.target,
        team=ticket.team,
        owner=ticket.owner,
        assignee=ticket.assignee,
        facts=list(done.facts),
    )
