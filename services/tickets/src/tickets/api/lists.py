"""Lists of tickets over HTTP: the queue, and the search."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from shared import clock
from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.tickets import Priority, Severity, Target
from shared.http.auth import Caller, needs
from shared.http.limits import NO_NUL
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import Reading
from tickets.api.answers import page
from tickets.api.callers import router_of
from tickets.queries import lists, views
from tickets.queries.lists import Sort, StatusWord, TicketFilter, TicketRow
from tickets.queries.views import ViewCounts, ViewName

router = router_of("tickets")

OfClient = Annotated[Code | None, Query(description="a client's id")]
OfProduct = Annotated[Code | None, Query(description="a product's id")]
OfModule = Annotated[Code | None, Query(description="a module's id")]
OfTeam = Annotated[Code | None, Query(description="a team's id: what is in its queue")]
OfView = Annotated[
    ViewName | None,
    Query(
        description="the caller's: `mine` (owner, assignee or working), `team` (the queues of one's teams), "
        "`unassigned` (what nobody has there), `attention` (what calls one; by opening also what is closed), "
        "`to-complete` (whose product, module or, of several, installation nobody has said; of one's teams or owned)"
    ),
]
OfStatus = Annotated[
    list[StatusWord] | None,
    Query(
        description="any of these; repeat it for several. `open` (all but closed and cancelled) when left out, or `all`"
    ),
]
TicketSearch = Annotated[
    str | None,
    Query(
        max_length=100,
        description="a number, or part of a title in any spelling; among ended tickets at least three letters",
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


@router.get("/tickets", response_model=Page[TicketRow], dependencies=[needs("ticket:read")])
async def list_tickets(
    connection: Reading,
    caller: Caller,
    status: OfStatus = None,
    view: OfView = None,
    owner: Annotated[PersonId | None, Query()] = None,
    client: OfClient = None,
    product: OfProduct = None,
    module: OfModule = None,
    level: Annotated[int | None, Query(ge=1, le=3)] = None,
    target: Annotated[Target | None, Query()] = None,
    team: OfTeam = None,
    assignee: Annotated[PersonId | None, Query()] = None,
    severity: Annotated[Severity | None, Query()] = None,
    priority: Annotated[Priority | None, Query()] = None,
    immediate: Annotated[bool | None, Query(description="P1/S1, or all others")] = None,
    q: TicketSearch = None,
    sort: Order = "opened",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Tickets that fit all of the filters; those that are open, unless `status` asks for others."""
    wanted = TicketFilter(
        status=status, view=view, me=caller.id, owner=owner, client=client, product=product, module=module,
        level=level, target=target, team=team, assignee=assignee, severity=severity, priority=priority,
        immediate=immediate, q=q,
    )  # fmt: skip
    keyset = BY_OPENING if sort == "opened" else BY_DUE
    start: Any = keyset.start(after)
    rows = await lists.list_tickets(connection, wanted, sort=sort, after=start, limit=limit + 1, now=clock.now())
    return page(keyset, rows, limit)


@router.get("/views", dependencies=[needs("ticket:read")])
async def count_views(connection: Reading, caller: Caller) -> ViewCounts:
    """How many open tickets are in each of the caller's views."""
    return await views.count_views(connection, caller.id)
