"""Which failures of the database pass by themselves (wait, and do the same again), and which would only come again."""

from __future__ import annotations

import re

import asyncpg

# What the driver raises; its own timeouts and broken sockets are OSError and TimeoutError.
DatabaseFailure = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

# Connection trouble, rollback by conflict, resources, shutdown; a database closed for maintenance (55000), a lock that
# was not had in time, and a transaction that idled too long. Not a statement that took too long (57014): who waits for
# others gives up at the lock before that.
_TRANSIENT_CLASSES = ("08", "40", "53", "57P", "58")
_TRANSIENT_STATES = frozenset({"55000", "55P03", "25P03", "25P04"})
# A statement that was prepared before a table was altered: prepared anew it is well.
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
# What the driver says of a connection that ended; it has no class for that.
_GONE = (
    "connection is closed",
    "connection was closed",
    "connection has been released",
    "is cancelling",
    "pool is clos",
)
_BROKEN_OFF = ("08", "57P")
_QUOTED = re.compile(r'"[^"]*"')


def pause_after(failures: int, *, first: float, most: float = 5.0) -> float:
    """Seconds to wait after this many failures in a row: twice as long each time, and never more than `most`."""
    # The power is capped as well: two to the 1024th is no float, and an outage of an hour and a half gets that far.
    return min(most, first * 2.0 ** min(failures, 30))


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything."""
    if isinstance(error, asyncpg.InterfaceError):
        # Its others are mistakes of a caller, such as two statements at once on one connection.
        return any(words in str(error) for words in _GONE)
    if isinstance(error, (OSError, TimeoutError, asyncpg.InternalClientError, *_OUTDATED)):
        return True
    state = state_of(error)
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def is_silence(error: BaseException) -> bool:
    """Whether a statement was sent and no answer came, so that nobody knows whether the server did it."""
    if isinstance(error, asyncpg.PostgresError):
        # The driver's own class for a connection that broke in between, and a server that went while it answered.
        return state_of(error).startswith(_BROKEN_OFF)
    return isinstance(error, OSError | TimeoutError)


def state_of(error: BaseException | None) -> str:
    """The SQLSTATE of a failure, empty when it carries none."""
    return str(getattr(error, "sqlstate", None) or "")


def problem_of(error: BaseException) -> str:
    """What to write down of a failure: its kind and first line, without the statement's parameters (maybe personal)."""
    lines = str(error).splitlines()
    told = lines[0] if lines else ""
    if isinstance(error, asyncpg.DataError):
        # The driver quotes the value that it could not send, PostgreSQL the text that it could not read.
        told = _QUOTED.sub('"…"', told.partition(":")[0])
    return f"{type(error).__name__}: {told}"[:500]
