"""Which failures pass by themselves (wait, and do the same again) and which belong to one message (park it)."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
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
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_transient_state(error.orig)
    return _is_transient_state(error)


def _is_transient_state(error: BaseException | None) -> bool:
    state = getattr(error, "sqlstate", None)
    return isinstance(state, str) and (state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES)


def problem_of(error: BaseException) -> str:
    """What to write down of a failure: its kind and first line, without the statement's parameters (maybe personal)."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(origin).splitlines()
    return f"{type(origin).__name__}: {lines[0] if lines else ''}"[:500]
