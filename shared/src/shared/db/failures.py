"""Which failures of the database pass by themselves (wait, and do the same again), and which would only come again."""

from __future__ import annotations

import asyncpg

# What the driver raises; its own timeouts and broken sockets are OSError and TimeoutError.
DatabaseFailure = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

# Connection trouble, rollback by conflict, resources, shutdown; and a transaction that idled too long.
_TRANSIENT_CLASSES = ("08", "40", "53", "57P", "58")
_TRANSIENT_STATES = frozenset({"55P03", "25P03", "25P04"})
# A statement that was prepared before a table was altered: prepared anew it is well.
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


def pause_after(failures: int, *, first: float, most: float = 5.0) -> float:
    """Seconds to wait after this many failures in a row: twice as long each time, and never more than `most`."""
    # The power is capped as well: two to the 1024th is no float, and an outage of an hour and a half gets that far.
    return min(most, first * 2.0 ** min(failures, 30))


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything."""
    if isinstance(error, asyncpg.DataError):
        # The driver's own refusal of a parameter is an InterfaceError too; it would only come again.
        return False
    if isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, *_OUTDATED)):
        return True
    state = state_of(error)
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def state_of(error: BaseException | None) -> str:
    """The SQLSTATE of a failure, empty when it carries none."""
    return str(getattr(error, "sqlstate", None) or "")


def problem_of(error: BaseException) -> str:
    """What to write down of a failure: its kind and first line, without the statement's parameters (maybe personal)."""
    lines = str(error).splitlines()
    told = lines[0] if lines else ""
    if isinstance(error, asyncpg.DataError):
        # The driver quotes the value that it could not send, PostgreSQL the text that it could not read.
        told = told.partition(":")[0]
    return f"{type(error).__name__}: {told}"[:500]
