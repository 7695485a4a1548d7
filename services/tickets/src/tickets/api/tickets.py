"""Tickets over HTTP: opening one, the actions on it, and its whole view."""

from typing import Annotated

from fastapi import Response
from pydantic import ConfigDict, Field

from shared import clock
from shared.contracts.envelope import Code
from shared.contracts.tickets import CategoryAnswer, Channel, HoldReason, ImpactAnswers, Kind, Priority, Severity
from shared.http.auth import Caller, CauseDep, needs
from shared.http.dating import Dated
from shared.http.etag import etag_of
from shared.http.idempotency import Idempotency
from shared.http.limits import Clean, CleanLine, CleanText
from shared.http.preconditions import IfMatch
from shared.http.transaction import Reading, Tx
from shared.stated import AS_NUMBER, Instant
from tickets.api.addresses import ReadTicketId, TicketId
from tickets.api.answers import Body, TicketChanged, answer_done, changed, written_by_the_database
from tickets.api.callers import router_of
from tickets.commands import tickets as commands
from tickets.commands.tickets import OpenTicket
from tickets.domain.urgency import Stated
from tickets.queries import tickets
from tickets.queries.tickets import TicketForCaller

router = router_of("tickets")

Answer = Annotated[int, Field(ge=1, le=4), AS_NUMBER] | None


class ImpactBody(Body):
    """The two questions that give the severity; null is «no sé» and counts as 3."""

    operational: Answer = Field(description="¿Quién no puede trabajar? 1 the company … 4 nobody")
    economic: Answer = Field(description="¿Qué se pierde si no se arregla hoy? 1 a loss today … 4 nothing")


class UrgencyBody(Body):
    """The impact, which is always asked, and what is chosen in place of what follows from it."""

    impact: ImpactBody
    severity: Annotated[Severity, AS_NUMBER] | None = Field(
        default=None, description="another one than follows from the impact; says why in `severity_reason`"
    )
    severity_reason: CleanText | None = None
    priority: Annotated[Priority, AS_NUMBER] | None = Field(
        default=None, description="another one than the client's conditions give; says why in `priority_reason`"
    )
    priority_reason: CleanText | None = None

    def stated(self) -> Stated:
        """The command's form of it."""
        impact = ImpactAnswers(operational=self.impact.operational, economic=self.impact.economic)
        return Stated(impact, self.severity, self.severity_reason, self.priority, self.priority_reason)


class AnswerToBody(Body):
    """What the caller said to one question; null is «no sé», which is an answer, too."""

    question: Code = Field(examples=["mensaje"])
    text: CleanText | None


class OpenTicketBody(UrgencyBody):
    """One call, one request. Whatever the caller cannot say is left out, never guessed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "metalurgica-arenales",
                    "product_id": "kontar",
                    "kind": "incident",
                    "impact": {"operational": 2, "economic": None},
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
    category: Code | None = Field(
        default=None, description="one of GET /v1/categories; left out until somebody can say it"
    )
    answers: list[AnswerToBody] = Field(default=[], max_length=20, description="to every question of the category")
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
        told = self.model_dump(exclude={*UrgencyBody.model_fields, "answers"})
        answers = tuple(CategoryAnswer(question=one.question, text=one.text) for one in self.answers)
        return OpenTicket(urgency=self.stated(), answers=answers, **told)


class HoldBody(Body, Dated):
    """What is waited for, what was asked or agreed, and when the ticket comes back by itself."""

    reason: HoldReason
    note: CleanText
    wake_at: Instant | None = Field(default=None, description="needed for a date that was agreed; within a year")


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


class NoteBody(Body):
    """What is written down for the house."""

    text: CleanText


class ReopenBody(Body):
    """Why it is not settled."""

    reason: CleanText


class CancelBody(Body):
    """Why it should not have been opened."""

    reason: CleanText


@router.post("/tickets", status_code=201, response_model=TicketChanged, dependencies=[needs("ticket:open")])
async def open_ticket(
    tx: Tx, cause: CauseDep, caller: Caller, idempotency: Idempotency, body: OpenTicketBody
) -> Response:
    """Registers an incident or a question. Environment, clocks and tasks follow by themselves within moments."""
    done = await commands.open_ticket(tx, cause, body.request(), may_be_late=caller.may("ticket:open-late"))
    place = f"/v1/tickets/{done.ticket.id}"
    return await idempotency.answer(changed(done), version=done.ticket.version, status=201, location=place)


@router.post("/tickets/{ticket_id}/hold", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def hold_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: HoldBody
) -> Response:
    """Stops the work for a reason; whether a clock pauses is the contract's matter."""
    done = await commands.hold_ticket(
        tx, body.dated(cause), ticket_id, reason=body.reason, note=body.note, wake_at=body.wake_at,
        late_reason=body.occurred_late_reason, expected=expected,
    )  # fmt: skip
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/release", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def release_ticket(
    expected: IfMatch,
    tx: Tx,
    cause: CauseDep,
    idempotency: Idempotency,
    ticket_id: TicketId,
    body: ReleaseBody | None = None,
) -> Response:
    """Ends the hold."""
    told = body or ReleaseBody()
    done = await commands.release_ticket(
        tx, told.dated(cause), ticket_id, late_reason=told.occurred_late_reason, expected=expected
    )
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/respond", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def respond_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: RespondBody
) -> Response:
    """Notes what the client was told; the first time stops the response clock."""
    done = await commands.respond_ticket(
        tx, body.dated(cause), ticket_id, channel=body.channel, text=body.text, late_reason=body.occurred_late_reason,
        expected=expected,
    )  # fmt: skip
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/resolve", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def resolve_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: ResolveBody
) -> Response:
    """Says how the matter was settled; the resolution clock stops, a running hold ends."""
    done = await commands.resolve_ticket(
        tx, body.dated(cause), ticket_id, code=body.code, text=body.text, late_reason=body.occurred_late_reason,
        expected=expected,
    )  # fmt: skip
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/close", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def close_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId
) -> Response:
    """Ends a resolved ticket; until its `reopenable_until` it may be reopened."""
    return await answer_done(idempotency, await commands.close_ticket(tx, cause, ticket_id, expected=expected))


@router.post("/tickets/{ticket_id}/note", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def note_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: NoteBody
) -> Response:
    """Writes something down for the house, in whatever state the ticket is; the client was told nothing."""
    return await answer_done(
        idempotency, await commands.comment_ticket(tx, cause, ticket_id, text=body.text, expected=expected)
    )


@router.post("/tickets/{ticket_id}/reopen", response_model=TicketChanged, dependencies=[needs("ticket:work")])
async def reopen_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: ReopenBody
) -> Response:
    """Goes on with a ticket until its `reopenable_until`, some business days after it was resolved; its resolution
    clock counts on."""
    done = await commands.reopen_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await answer_done(idempotency, done)


@router.post("/tickets/{ticket_id}/cancel", response_model=TicketChanged, dependencies=[needs("ticket:cancel")])
async def cancel_ticket(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, ticket_id: TicketId, body: CancelBody
) -> Response:
    """Ends a ticket that should not have been opened; its clocks end with it, a breach that there was stands."""
    done = await commands.cancel_ticket(tx, cause, ticket_id, reason=body.reason, expected=expected)
    return await answer_done(idempotency, done)


@router.get("/tickets/{ticket_id}", response_model=TicketForCaller, dependencies=[needs("ticket:read")])
async def view_ticket(connection: Reading, caller: Caller, ticket_id: ReadTicketId) -> Response:
    """Everything about a ticket in one answer: environment, clocks, tasks, the last 200 facts of its history, and which
    actions are open to the caller."""
    version, view = await tickets.view_ticket(connection, ticket_id, clock.now(), caller.permissions)
    return written_by_the_database(view, etag=etag_of(version))
