"""Which failures of the database pass by themselves (wait, and do the same again), and which would only come again."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Connection trouble, rollback by conflict, resources, shutdown; and a transaction that idled too long.
_TRANSIENT_CLASSES = ("08", "40", "53", "57P", "58")
_TRANSIENT_STATES = frozenset({"55P03", "25P03", "25P04"})


def pause_after(failures: int, *, first: float, most: float = 5.0) -> float:
    """Seconds to wait after this many failures in a row: twice as long each time, and never more than `most`."""
    # The power is capped as well: two to the 1024th is no float, and an outage of an hour and a half gets that far.
    return min(most, first * 2.0 ** min(failures, 30))


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything."""
    if isinstance(error, (OSError, TimeoutError, PoolTimeout, InterfaceError)):
        return True
    if isinstance(error, DisconnectionError):
        return True
    if isinstance(error, DBAPIError):
        # A connection that broke carries no state of its own; what the driver said is the cause of the cause.
        told = (error.orig, error.orig.__cause__ if error.orig is not None else None)
        return error.connection_invalidated or any(_is_transient_of_the_driver(one) for one in told)
    return _is_transient_of_the_driver(error)


def state_of(error: BaseException | None) -> str:
    """The SQLSTATE of a failure, empty when it carries none."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def _is_transient_of_the_driver(error: BaseException | None) -> bool:
    if isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return True
    state = state_of(error)
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def problem_of(error: BaseException) -> str:
    """What to write down of a failure: its kind and first line, without the statement's parameters (maybe personal)."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(origin).splitlines()
    return f"{type(origin).__name__}: {lines[0] if lines else ''}"[:500]
