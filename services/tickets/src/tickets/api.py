"""HTTP in: opening tickets, the actions on them, and what the desk reads."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shared import clock
from shared.contracts.envelope import Code
from shared.contracts.tickets import Channel, HoldReason, Kind, Level, Severity, Target
from shared.http.auth import Caller, CauseDep, needs
from shared.http.dating import Dated
from shared.http.etag import etag_of
from shared.http.idempotency import Idempotency
from shared.http.limits import NO_NUL, Clean, CleanLine, CleanText
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatch
from shared.http.transaction import Reading, Tx
from shared.stated import AS_NUMBER, Instant
from tickets import commands
from tickets.commands import Done, OpenTicket
from tickets.domain.escalation import Reach
from tickets.domain.urgency import Impact
from tickets.domain.workflow import Status
from tickets.queries import clients, history, lists, tickets
from tickets.queries.clients import ClientView
from tickets.queries.history import HistoryEntry
from tickets.queries.lists import Sort, StatusWord, TicketFilter, TicketRow
from tickets.queries.tickets import TicketView

router = APIRouter(prefix="/v1", tags=["tickets"])

Person = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$", examples=["ana"], description="the id of a person")]
Answer = Annotated[int, Field(ge=1, le=4), AS_NUMBER] | None
Search = Annotated[str | None, Query(max_length=100, json_schema_extra=NO_NUL)]
OfClient = Annotated[Code | None, Query(description="a client's id")]
OfProduct = Annotated[Code | None, Query(description="a product's id")]
OfModule = Annotated[Code | None, Query(description="a module's id")]
OfStatus = Annotated[
    list[StatusWord] | None,
    Query(description="any of these; repeat it for several. `open` (all but closed) when left out, or `all`"),
]
TicketSearch = Annotated[
    str | None,
    Query(
        max_length=100,
        description="a number, or part of a title in any spelling; among closed tickets at least three letters",
        json_schema_extra=NO_NUL,
    ),
]
Order = Annotated[
    Sort,
    Query(
        description="`opened`: the newest first; `due`: the order of the queue, for open tickets: whose clocks have "
        "not come yet, P1/S1, what runs out next, what is paused by what it has left, the rest"
    ),
]

BY_OPENING = Keyset("tickets-opened", datetime, UUID)
BY_DUE = Keyset("tickets-due", int, int, int, int, UUID)
_HISTORY = Keyset("history", int)
_CLIENTS = Keyset("clients", str, str)


class Body(BaseModel):
    """What a caller sends; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


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

    assignee: Person | None = None


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
    """Ends a resolved ticket for good."""
    return await _answer(idempotency, await commands.close_ticket(tx, cause, ticket_id, expected=expected))


@router.get("/tickets/{ticket_id}", response_model=TicketView, dependencies=[needs("ticket:read")])
async def view_ticket(connection: Reading, ticket_id: UUID) -> Response:
    """Everything about a ticket in one answer: environment, clocks, tasks and the last 200 facts of its history."""
    version, view = await tickets.view_ticket(connection, ticket_id, clock.now())
    return _written(view, etag=etag_of(version))


@router.get("/tickets/{ticket_id}/history", response_model=Page[HistoryEntry], dependencies=[needs("ticket:read")])
async def page_history(
    connection: Reading, ticket_id: UUID, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """The history alone, in the order in which it was recorded, so that no page misses what is told late.

    When each thing happened is its `occurred_at`; the history of the ticket's own view is sorted by that.
    """
    start: Any = _HISTORY.start(after)
    rows = await history.page_history(connection, ticket_id, after=start, limit=limit + 1)
    return _page(_HISTORY, rows, limit)


@router.get("/tickets", response_model=Page[TicketRow], dependencies=[needs("ticket:read")])
async def list_tickets(
    connection: Reading,
    status: OfStatus = None,
    client: OfClient = None,
    product: OfProduct = None,
    module: OfModule = None,
    level: Annotated[Level | None, Query()] = None,
    target: Annotated[Target | None, Query()] = None,
    assignee: Annotated[Person | None, Query()] = None,
    severity: Annotated[Severity | None, Query()] = None,
    q: TicketSearch = None,
    sort: Order = "opened",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Tickets that fit all of the filters; those that are open, unless `status` asks for others."""
    wanted = TicketFilter(
        status=status,
        client=client,
        product=product,
        module=module,
        level=level,
        target=target,
        assignee=assignee,
        severity=severity,
        q=q,
    )
    keyset = BY_OPENING if sort == "opened" else BY_DUE
    start: Any = keyset.start(after)
    rows = await lists.list_tickets(connection, wanted, sort=sort, after=start, limit=limit + 1, now=clock.now())
    return _page(keyset, rows, limit)


@router.get("/clients", response_model=Page[ClientView], dependencies=[needs("client:read")])
async def find_clients(
    connection: Reading, q: Search = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """Clients by words of their name, id or tax id, in any spelling: capitals, accents, dots, dashes do not matter."""
    start: Any = _CLIENTS.start(after)
    return _page(_CLIENTS, await clients.find_clients(connection, q, after=start, limit=limit + 1), limit)


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
        assignee=ticket.assignee,
        facts=list(done.facts),
    )


def _page(keyset: Keyset, rows: Sequence[tuple[Any, ...]], limit: int) -> Response:
    """A page of rows whose last column is their JSON; the columns before it are the sort values."""
    page = keyset.page(rows, limit, lambda row: row[:-1])
    items = ",".join(row[-1] for row in page.items)
    return _written(f'{{"items":[{items}],"next":{json.dumps(page.next)},"limit":{limit}}}')


def _written(body: str, **headers: str) -> Response:
    """An answer that PostgreSQL has written. It is personal, so nothing on the way may keep it."""
    return Response(body, media_type="application/json", headers={"cache-control": "no-store", **headers})
