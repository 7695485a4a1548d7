"""The transaction of an edge: begun and committed here, so that nothing inside has to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Select

from shared.db.failures import DatabaseFailure, is_silence
from shared.db.statement import Statement, composed, joined

Parameters = Mapping[str, Any]
_NONE: Parameters = {}

# The same few combinations come again and again: what belongs together is joined once.
_joined = lru_cache(maxsize=256)(joined)


class Row(asyncpg.Record):  # type: ignore[misc]
    """One row of an answer: `row.column`, `row["column"]`, `dict(row)`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the answer has no column {name}") from None


class UnexpectedRows(RuntimeError):
    """A statement that answers exactly one row, or at most one, answered another number of them.

    It names the statement and what it was given, never the values: those may be personal.
    """

    def __init__(self, expected: str, found: int, statement: Statement) -> None:
        super().__init__(f"{expected} row was expected, not {found}, of: {statement.told()}")


class CommitUnanswered(ConnectionError):
    """What would have made a transaction lasting was sent, and no answer came: nobody knows whether it did."""


class Reader:
    """A connection on which every statement stands alone."""

    def __init__(self, connection: Any) -> None:
        # A connection of asyncpg, as its pool lends it; its stubs know no record class.
        self._connection = connection

    async def fetch(self, statement: Statement | Select[Any], parameters: Parameters = _NONE) -> list[Row]:
        """All rows of the answer."""
        statement, parameters = _written(statement, parameters)
        await self._prepare(statement)
        rows: list[Row] = await self._connection.fetch(statement.text, *statement.arguments(parameters))
        return rows

    async def fetch_one(self, statement: Statement | Select[Any], parameters: Parameters = _NONE) -> Row:
        """The row of an answer that always has exactly one. Raises UnexpectedRows."""
        statement, parameters = _written(statement, parameters)
        rows = await self.fetch(statement, parameters)
        if len(rows) != 1:
            raise UnexpectedRows("one", len(rows), statement)
        return rows[0]

    async def fetch_first(self, statement: Statement | Select[Any], parameters: Parameters = _NONE) -> Row | None:
        """The row of an answer that has one or none. Raises UnexpectedRows for more."""
        statement, parameters = _written(statement, parameters)
        rows = await self.fetch(statement, parameters)
        if len(rows) > 1:
            raise UnexpectedRows("at most one", len(rows), statement)
        return rows[0] if rows else None

    async def fetch_value(self, statement: Statement | Select[Any], parameters: Parameters = _NONE) -> Any:
        """The first column of the only row; None when there is no row."""
        row = await self.fetch_first(statement, parameters)
        return row[0] if row is not None else None

    async def _prepare(self, statement: Statement) -> None:
        """What has to happen before a statement: nothing, where each stands alone."""


class Transaction(Reader):
    """One transaction, with as few round trips as it needs.

    It begins with the first statement that locks or changes something: a plain SELECT before that sees the same either
    way. What `write` is given waits and goes out with its neighbours as one statement, at the latest before the next
    statement that could see it; when nothing else needs a transaction, that one statement is all of it.
    """

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._begun: Any = None
        self._waiting: list[tuple[Statement, list[Any]]] = []
        # Set by whoever publishes, so that the relay is told after the commit.
        self.published = False

    @property
    def begun(self) -> bool:
        """Whether there is something that only a COMMIT makes lasting."""
        return self._begun is not None

    async def execute(self, statement: Statement, parameters: Parameters = _NONE) -> int:
        """Does it now. Returns how many rows it changed, or answered."""
        await self._prepare(statement)
        return _count(await self._connection.execute(statement.text, *statement.arguments(parameters)))

    async def write(self, statement: Statement, parameters: Parameters, *, beside: str | None = None) -> None:
        """Changes something of which nobody waits for an answer; an error comes when it is done, in this transaction.

        Neighbours are done in no particular order and see nothing of each other, so what waits is done first when it
        changes the same table. `beside` is a table whose rows that wait are certainly others than this one's.
        """
        if any(statement.table == earlier.table != beside for earlier, _ in self._waiting):
            await self.flush()
        self._waiting.append((statement, statement.arguments(parameters)))

    async def flush(self) -> None:
        """Does what waits, inside the transaction."""
        if self._waiting:
            await self._begin()
            await self._write_waiting()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What happens inside is undone when the block raises, and the transaction goes on."""
        await self.flush()
        await self._begin()
        try:
            async with self._connection.transaction():
                yield
                await self.flush()
        except BaseException:
            self._waiting.clear()
            raise

    async def commit(self) -> None:
        """Makes it lasting. Raises CommitUnanswered when it may be, and nobody knows."""
        if self._begun is not None:
            await self._write_waiting()
        try:
            if self._begun is not None:
                await self._begun.commit()
            else:
                # Where nothing has begun, the one statement that waits is a transaction in itself.
                await self._write_waiting()
        except DatabaseFailure as error:
            if is_silence(error):
                raise CommitUnanswered("whether the change was stored is not known") from error
            raise

    async def rollback(self) -> None:
        """Undoes it. A connection that broke has done so by itself, and the pool lends none that is not whole."""
        self._waiting.clear()
        if self._begun is not None:
            with suppress(*DatabaseFailure):
                await self._begun.rollback()

    async def _prepare(self, statement: Statement) -> None:
        await self.flush()
        if not statement.plain:
            await self._begin()

    async def _begin(self) -> None:
        if self._begun is None:
            begun = self._connection.transaction()
            await begun.start()
            self._begun = begun

    async def _write_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            statement = _joined(tuple(each for each, _ in waiting))
            await self._connection.execute(statement.text, *[value for _, values in waiting for value in values])


class Lender(Protocol):
    """What lends connections: an engine."""

    def lend(self) -> AbstractAsyncContextManager[Any]:
        """A connection of asyncpg, for as long as the block lasts."""


@asynccontextmanager
async def begin(engine: Lender, hint: Callable[[], None]) -> AsyncIterator[Transaction]:
    """One transaction; committed when the block ends well, and the relay is told when there is something to send."""
    async with engine.lend() as connection, begin_on(connection) as tx:
        yield tx
    if tx.published:
        hint()


@asynccontextmanager
async def begin_on(connection: Any) -> AsyncIterator[Transaction]:
    """One transaction on a connection that is the caller's own; committed when the block ends well."""
    tx = Transaction(connection)
    try:
        yield tx
        await tx.commit()
    except BaseException:
        await tx.rollback()
        raise


def _written(statement: Statement | Select[Any], parameters: Parameters) -> tuple[Statement, Parameters]:
    return (statement, parameters) if isinstance(statement, Statement) else composed(statement)


def _count(status: str) -> int:
    """The number at the end of what PostgreSQL says of a statement: `UPDATE 3`, `INSERT 0 1`; 0 when there is none."""
    number = status.rpartition(" ")[2]
    return int(number) if number.isdigit() else 0
