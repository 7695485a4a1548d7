"""Clients over HTTP: who is calling."""

from typing import Annotated, Any

from fastapi import Query, Response

from shared.http.auth import needs
from shared.http.limits import NO_NUL
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import Reading
from tickets.api.answers import page
from tickets.api.callers import router_of
from tickets.queries import clients
from tickets.queries.clients import ClientView

router = router_of("clients")

_CLIENTS = Keyset("clients", str, str)
Search = Annotated[str | None, Query(max_length=100, json_schema_extra=NO_NUL)]


@router.get("/clients", response_model=Page[ClientView], dependencies=[needs("client:read")])
async def find_clients(
    connection: Reading, q: Search = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """Clients by words of their name, id or tax id, in any spelling: capitals, accents, dots, dashes do not matter."""
    start: Any = _CLIENTS.start(after)
    return page(_CLIENTS, await clients.find_clients(connection, q, after=start, limit=limit + 1), limit)
