"""A ticket in an address: by its id, or by its number in any spelling that people type."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path
from pydantic import AfterValidator, TypeAdapter, ValidationError, WithJsonSchema
from starlette.requests import Request

from shared.db.transaction import Reader
from shared.http.transaction import Reading, Tx
from tickets.domain.number import SPELT, number_in
from tickets.domain.ticket import TicketNotFound
from tickets.repository.numbers import id_of

_ID = TypeAdapter(UUID)


def _id_in(text: str) -> UUID | None:
    try:
        return _ID.validate_strings(text)
    except ValidationError:
        return None


def _require_address(text: str) -> str:
    if _id_in(text) is None and number_in(text) is None:
        raise ValueError("Send the id of the ticket, or its number, such as T-000042.")
    return text


_Address = Annotated[
    str,
    Path(description="the ticket's id, or its number: `T-000042`, `t-42`, `42`", examples=["T-000042"]),
    AfterValidator(_require_address),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "pattern": SPELT}], "title": "Ticket Id"}
    ),
]


async def ticket_to_change(request: Request, tx: Tx, ticket_id: _Address) -> UUID:
    """The id of the ticket, for a route that has a transaction. Raises TicketNotFound for a number that is nobody's."""
    return await _find(request, tx, ticket_id)


async def ticket_to_read(request: Request, connection: Reading, ticket_id: _Address) -> UUID:
    """The same for a route that reads."""
    return await _find(request, connection, ticket_id)


# On the connection that the route has anyway: each request holds one, so that they never wait for each other's.
TicketId = Annotated[UUID, Depends(ticket_to_change)]
ReadTicketId = Annotated[UUID, Depends(ticket_to_read)]


async def _find(request: Request, reader: Reader, address: str) -> UUID:
    number = number_in(address)
    if number is None:
        return _ID.validate_strings(address)
    found = await id_of(reader, number)
    if found is None:
        raise TicketNotFound(f"there is no ticket {number}: look it up with GET /v1/tickets?q=…")
    # Whoever tells of this request afterwards knows tickets by their ids.
    request.path_params["ticket_id"] = str(found)
    return found
