"""What an engine sends to its database, seen by wrapping the connections that it lends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from shared.db.engine import Engine


class _Seen:
    """A connection that tells what it is asked."""

    def __init__(self, connection: Any, tell: Callable[[str, Any], None]) -> None:
        self._connection, self._tell = connection, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, words: str, *arguments: Any) -> Any:
        self._tell(words, self._connection)
        return await self._connection.fetch(words, *arguments)

    async def execute(self, words: str, *arguments: Any) -> Any:
        self._tell(words, self._connection)
        return await self._connection.execute(words, *arguments)

    def transaction(self) -> _SeenTransaction:
        return _SeenTransaction(self._connection, self._tell)


class _SeenTransaction:
    def __init__(self, connection: Any, tell: Callable[[str, Any], None]) -> None:
        self._connection, self._tell = connection, tell
        self._transaction = connection.transaction()

    async def start(self) -> None:
        self._tell("BEGIN", self._connection)
        await self._transaction.start()

    async def commit(self) -> None:
        self._tell("COMMIT", self._connection)
        await self._transaction.commit()

    async def rollback(self) -> None:
        self._tell("ROLLBACK", self._connection)
        await self._transaction.rollback()

    async def __aenter__(self) -> None:
        self._tell("SAVEPOINT", self._connection)
        await self._transaction.__aenter__()

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._transaction.__aexit__(*raised)


@contextmanager
def watched(engine: Engine, tell: Callable[[str, Any], None]) -> Iterator[None]:
    """Calls `tell(words, connection)` before everything that the engine's connections send while the block runs."""
    lend, outer = engine.lend, vars(engine).get("lend")

    @asynccontextmanager
    async def lend_seen() -> AsyncIterator[Any]:
        async with lend() as connection:
            yield _Seen(connection, tell)

    engine.lend = lend_seen  # type: ignore[method-assign]
    try:
        yield
    finally:
        if outer is None:
            del engine.lend
        else:
            engine.lend = outer  # type: ignore[method-assign]


@contextmanager
def round_trips(engine: Engine) -> Iterator[list[str]]:
    """What an engine sends while the block runs: statements, BEGIN, COMMIT, SAVEPOINT (not its end); space squeezed."""
    sent: list[str] = []
    with watched(engine, lambda words, _connection: sent.append(" ".join(words.split()))):
        yield sent


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that an engine sends while the block runs (BEGIN and COMMIT are not among them)."""
    sent: list[str] = []

    def note(words: str, _connection: Any) -> None:
        if words not in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"):
            sent.append(words)

    with watched(engine, note):
        yield sent


class Explained:
    """A connection that notes how many rows each statement looks at."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.looked_at: list[int] = []

    async def fetch(self, words: str, *arguments: Any) -> Any:
        await self._note(words, *arguments)
        return await self.connection.fetch(words, *arguments)

    async def fetchval(self, words: str, *arguments: Any) -> Any:
        await self._note(words, *arguments)
        return await self.connection.fetchval(words, *arguments)

    async def _note(self, words: str, *arguments: Any) -> None:
        told = await self.connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {words}", *arguments)
        (plan,) = json.loads(told)
        self.looked_at.append(max(_rows(plan["Plan"])))


def _rows(plan: dict[str, Any]) -> Iterator[int]:
    """What each node of a plan had in its hands, whatever it let through."""
    yield plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    for part in plan.get("Plans", ()):
        yield from _rows(part)
