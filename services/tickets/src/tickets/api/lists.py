"""Lists of tickets over HTTP: the queue, and the search."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared import clock
from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.teams import TeamTarget
from shared.contracts.tickets import HoldReason, Kind, Priority, Severity
from shared.http.auth import Caller, needs
from shared.http.limits import NO_NUL
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import Reading
from shared.stated import Instant
from tickets.api.answers import page
from tickets.api.callers import router_of
from tickets.queries import lists, views
from tickets.queries.filters import StatusWord, TicketFilter
from tickets.queries.lists import Sort
from tickets.queries.rows import Included, TicketRow
from tickets.queries.views import ViewCounts, ViewName

router = router_of("tickets")

MOST_VALUES = 50


def _several(description: str) -> Any:
    return Query(max_length=MOST_VALUES, description=f"{description}; repeat it for several, any of which fits")


def _said(description: str) -> Any:
    return Query(description=description)


class TicketPage(Page[TicketRow]):
    """A page of a list, and when it was read."""

    server_time: AwareDatetime = Field(description="the instant of which `remaining_seconds` is told")


Codes = list[Code] | None
People = list[PersonId] | None
Moment = Instant | None


@dataclass(slots=True, kw_only=True)
class Wanted:
    """The filters of the list as a caller writes them."""

    status: Annotated[
        list[StatusWord] | None,
        Query(
            description="any of these; repeat it for several. `open` (all but closed and cancelled) when left out, or "
            "`all`"
        ),
    ] = None
    view: Annotated[
        ViewName | None,
        Query(
            description="the caller's: `mine` (owner, assignee or working), `team` (the queues of one's teams), "
            "`unassigned` (what nobody has there), `attention` (what calls one; by opening also what is closed)"
        ),
    ] = None
    client: Annotated[Codes, _several("a client's id")] = None
    product: Annotated[Codes, _several("a product's id")] = None
    module: Annotated[Codes, _several("a module's id")] = None
    kind: Annotated[list[Kind] | None, _several("what was reported")] = None
    level: Annotated[list[Annotated[int, Field(ge=1, le=3)]] | None, _several("1 call centre, 2 analysts, 3")] = None
    target: Annotated[list[TeamTarget] | None, _several("who has it; the call centre what nobody has escalated")] = None
    team: Annotated[Codes, _several("a team's id: what is in its queue")] = None
    owner: Annotated[People, _several("who keeps the contact with the client")] = None
    assignee: Annotated[People, _several("who works on it; `none` for what is in nobody's hands")] = None
    participant: Annotated[People, _several("who takes part beside them, whether contact, working or watching")] = None
    severity: Annotated[list[Severity] | None, _several("1 stops the company, 4 stops nobody")] = None
    priority: Annotated[list[Priority] | None, _several("1 is the most urgent client condition")] = None
    immediate: Annotated[bool | None, _said("P1/S1, or all others")] = None
    breached: Annotated[bool | None, _said("a clock of it has run out, whichever and whenever; or none has")] = None
    hold_reason: Annotated[list[HoldReason] | None, _several("what it waits for: those on hold for it")] = None
    opened_from: Annotated[Moment, _said("opened at this instant or later")] = None
    opened_to: Annotated[Moment, _said("opened before this instant")] = None
    reported_from: Annotated[Moment, _said("reported at this instant or later")] = None
    reported_to: Annotated[Moment, _said("reported before this instant")] = None
    closed_from: Annotated[Moment, _said("closed at this instant or later; with `status=closed`, or `all`")] = None
    closed_to: Annotated[Moment, _said("closed before this instant; with `status=closed`, or `all`")] = None
    due_from: Annotated[Moment, _said("what runs out next does so at this instant or later; open ones only")] = None
    due_to: Annotated[Moment, _said("what runs out next does so before this instant; open ones only")] = None
    updated_since: Annotated[
        Moment,
        _said(
            "somebody did something to it at this instant or later; commands that cross are committed in any order, so "
            "whoever asks again begins a little before the latest `updated_at`"
        ),
    ] = None
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            description="a number, part of a title, or words of the client's name, in any spelling; among ended "
            "tickets at least three letters",
            json_schema_extra=NO_NUL,
        ),
    ] = None

    def by(self, me: str) -> TicketFilter:
        """What that means when somebody asks."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return TicketFilter(me=me, **given)


Order = Annotated[
    Sort,
    Query(
        description="`opened`: the newest first; `due`: the order of the queue, for open tickets: whose clocks have "
        "not come yet (P1/S1 first), P1/S1, what runs out next, what is paused by what it has left, the rest"
    ),
]
Include = Annotated[
    list[Included] | None,
    Query(max_length=MOST_VALUES, description="what else each row has, in `more`; repeat it for several"),
]

BY_OPENING = Keyset("tickets-opened", datetime, UUID)
BY_DUE = Keyset("tickets-due", int, int, int, int, UUID)


@router.get("/tickets", response_model=TicketPage, dependencies=[needs("ticket:read")])
async def list_tickets(
    connection: Reading,
    caller: Caller,
    wanted: Annotated[Wanted, Depends()],
    include: Include = None,
    sort: Order = "opened",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Tickets that fit all of the filters; those that are open, unless `status` asks for others."""
    keyset = BY_OPENING if sort == "opened" else BY_DUE
    start: Any = keyset.start(after)
    now = clock.now()
    rows = await lists.list_tickets(
        connection, wanted.by(caller.id), sort=sort, after=start, limit=limit + 1, now=now, include=include or ()
    )
    return page(keyset, rows, limit, server_time=now.isoformat())


@router.get("/views", dependencies=[needs("ticket:read")])
async def count_views(connection: Reading, caller: Caller) -> ViewCounts:
    """How many open tickets are in each of the caller's views."""
    return await views.count_views(connection, caller.id)
