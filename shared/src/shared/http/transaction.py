"""The transaction of a route: `Tx` for what changes something, `Reading` for a single SELECT."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from shared.db.failures import DatabaseFailure, is_transient, state_of
from shared.db.transaction import CommitUnanswered, Reader, Transaction, begin
from shared.errors import Unavailable
from shared.telemetry.logs import get_logger

# Beside what is transient for everybody: a caller may try again after a statement timeout, or when a standby took over.
_PASSING_STATES = {"57014", "25006"}
_DISK_FULL = "53100"

log = get_logger(__name__)


class OutcomeUnknown(Unavailable):
    """The database was told to store the change and did not answer."""

    code = "outcome-unknown"
    title = "Nobody knows whether it was done"


async def transaction(request: Request) -> AsyncIterator[Transaction]:
    """One transaction, committed before the answer starts.

    Raises Unavailable when the database cannot do it now, and for a COMMIT that fails: whatever stood in the way came
    up meanwhile (a deferred constraint against a row of somebody else), and the same request sees it. Raises
    OutcomeUnknown for a COMMIT that nobody answered.
    """
    state = request.app.state
    committing = False
    try:
        async with begin(state.engine, state.hint) as tx:
            yield tx
            if tx.begun:
                await tx.flush()
                committing = True
    except DatabaseFailure as error:
        raise translated(error, passing=committing or is_passing(error)) from error


def beside(app: Any) -> AbstractAsyncContextManager[Transaction]:
    """A transaction of its own, for what is true whatever becomes of the request; committed when the block ends."""
    return begin(app.state.engine, app.state.hint)


async def reading(request: Request) -> AsyncIterator[Reader]:
    """A connection on which every statement stands alone: no BEGIN and no COMMIT, a third of the round trips.

    For one SELECT, which is a snapshot in itself.
    """
    try:
        async with request.app.state.engine.connect() as connection:
            yield connection
    except DatabaseFailure as error:
        raise translated(error, passing=is_passing(error)) from error


# Without scope="function" FastAPI would commit after the answer has left, and nobody could be told of a failure.
Tx = Annotated[Transaction, Depends(transaction, scope="function")]
Reading = Annotated[Reader, Depends(reading, scope="function")]


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later: the database is away, busy, ending, or chose it as a victim."""
    return is_transient(error) or state_of(error) in _PASSING_STATES


def translated(error: BaseException, *, passing: bool) -> BaseException:
    """What a caller is told of a failure of the database; what would fail again stays the error that it is."""
    if not passing:
        return error
    if isinstance(error, CommitUnanswered):
        log.warning("the database did not answer a commit", reason=error)
        return OutcomeUnknown(
            "The database did not answer when it was told to store this, so it may be done or not. Send the same "
            "request again with the same Idempotency-Key: it is done once, and you get its answer. Without a key, look "
            "first."
        )
    log.warning("the database did not do it", reason=error)
    if state_of(error) == _DISK_FULL:
        return Unavailable(
            "The database's disk is full, and nothing was stored. Try again when whoever runs this system has made "
            "room; with the same Idempotency-Key nothing is done twice."
        )
    return Unavailable(
        "The database does not answer at present. Try again; with the same Idempotency-Key nothing is done twice."
    )
