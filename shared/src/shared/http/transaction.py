"""The transaction of a route: `Tx` for what changes something, `ReadTx` for a single SELECT."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from shared.db.transaction import begin
from shared.errors import Unavailable
from shared.telemetry.logs import get_logger

# What PostgreSQL says when the same request may well succeed later: 08 connection, 53 resources, 57P shutdown.
_PASSING_CLASSES = ("08", "53", "57P")
# Serialization, deadlock, lock not available, statement timeout, idle-in-transaction timeout, read-only standby.
_PASSING_STATES = {"40001", "40P01", "55P03", "57014", "25P03", "25006"}

log = get_logger(__name__)


async def transaction(request: Request) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed before the answer starts.

    Raises Unavailable when the database cannot do it now, and for every commit that fails: whatever stood in the way
    (a deferred constraint against a row of somebody else) came up meanwhile, and the same request sees it.
    """
    state = request.app.state
    committing = False
    try:
        async with begin(state.engine, state.hint) as tx:
            yield tx
            committing = True
    except (DBAPIError, DisconnectionError, PoolTimeout, OSError) as error:
        raise _translated(error, passing=committing or is_passing(error)) from error


async def reading(request: Request) -> AsyncIterator[AsyncConnection]:
    """A connection on which every statement stands alone: no BEGIN and no COMMIT, a third of the round trips.

    For one SELECT, which is a snapshot in itself. Two that must agree need `Tx`.
    """
    try:
        async with request.app.state.reading_engine.connect() as connection:
            yield connection
    except (DBAPIError, DisconnectionError, PoolTimeout, OSError) as error:
        raise _translated(error, passing=is_passing(error)) from error


# Without scope="function" FastAPI would commit after the answer has left, and nobody could be told of a failure.
Tx = Annotated[AsyncConnection, Depends(transaction, scope="function")]
ReadTx = Annotated[AsyncConnection, Depends(reading, scope="function")]


def is_passing(error: Exception) -> bool:
    """Whether the same work may succeed later: the database is away, busy, shutting down, or chose this as a victim."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        lost = error.connection_invalidated or isinstance(error.orig, OSError)
        return lost or state in _PASSING_STATES or state.startswith(_PASSING_CLASSES) or _is_closed(error)
    return isinstance(error, DisconnectionError | PoolTimeout | OSError)


def _is_closed(error: DBAPIError) -> bool:
    """A connection that broke carries no state; the driver's own class says so."""
    cause = error.orig.__cause__ if error.orig is not None else None
    return type(cause).__name__ in {"ConnectionDoesNotExistError", "InterfaceError", "InternalClientError"}


def _translated(error: Exception, *, passing: bool) -> Exception:
    if not passing:
        return error
    log.warning("the database did not do it", reason=error)
    return Unavailable(
        "The database does not answer at present. Try again; with the same Idempotency-Key nothing is done twice."
    )
