"""The history of a ticket over HTTP, page by page."""

from typing import Any

from fastapi import Response

from shared.http.auth import needs
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import Reading
from tickets.api.addresses import ReadTicketId
from tickets.api.answers import page
from tickets.api.callers import router_of
from tickets.queries import history
from tickets.queries.history import HistoryEntry

router = router_of("tickets")

_HISTORY = Keyset("history", int)


@router.get("/tickets/{ticket_id}/history", response_model=Page[HistoryEntry], dependencies=[needs("ticket:read")])
async def page_history(
    connection: Reading, ticket_id: ReadTicketId, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """The history alone, in the order in which it was recorded, so that no page misses what is told late.

    When each thing happened is its `occurred_at`; the history of the ticket's own view is sorted by that.
    """
    start: Any = _HISTORY.start(after)
    rows = await history.page_history(connection, ticket_id, after=start, limit=limit + 1)
    return page(_HISTORY, rows, limit)
