"""Engines: how a process of a service connects to its own database."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from shared.db.connection import CONNECT_SECONDS, STATEMENT_SECONDS, limits, settle
from shared.db.failures import DatabaseFailure
from shared.db.transaction import Reader, Row

LEND_SECONDS = 10.0
RETURN_SECONDS = 5.0
# What a session of its own asks is small, and its loop shall notice soon that nobody answers.
DIRECT_STATEMENT_SECONDS = 10.0
# Statements of a release are few; what a filter puts together stays below this too.
_STATEMENTS_KEPT = 300
_LONGEST_STATEMENT_KEPT = 64 * 1024


class Engine:
    """A pool of connections to one database, for one event loop; it connects when it is first asked."""

    def __init__(self, url: str, *, application: str, pool_size: int, statement_seconds: float) -> None:
        self._starting = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._make_pool = functools.partial(
            asyncpg.create_pool,
            plain_url(url),
            min_size=0,
            max_size=pool_size,
            record_class=Row,
            init=functools.partial(_prepare, statement_seconds=statement_seconds),
            # A connection is lent clean: nothing here sets session variables, cursors or locks that outlive their
            # transaction. The pool's own reset would cost every request a round trip.
            reset=_keep,
            statement_cache_size=_STATEMENTS_KEPT,
            max_cacheable_statement_size=_LONGEST_STATEMENT_KEPT,
            **limits(statement_seconds, application),
        )

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """A connection of asyncpg. Raises TimeoutError when none is free in time, OSError when none can be made."""
        pool = self._pool or await self._start()
        connection = await pool.acquire(timeout=LEND_SECONDS)
        try:
            yield connection
        finally:
            # What was done with it is settled before: a connection that cannot be given back in order is ended by the
            # pool, and nobody is told that a change failed which was stored.
            with suppress(*DatabaseFailure):
                await pool.release(connection, timeout=RETURN_SECONDS)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Reader]:
        """A connection on which every statement stands alone."""
        async with self.lend() as connection:
            yield Reader(connection)

    async def dispose(self) -> None:
        """Closes the connections for good; what is still lent has a moment to come back."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _start(self) -> asyncpg.Pool:
        async with self._starting:
            if self._pool is None:
                self._pool = await self._make_pool()
            return self._pool


def make_engine(
    url: str,
    *,
    application: str,
    pool_size: int = 10,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Engine:
    """An engine for a URL of any PostgreSQL spelling. `application` is what pg_stat_activity shows."""
    return Engine(url, application=application, pool_size=pool_size, statement_seconds=statement_seconds)


def plain_url(url: str) -> str:
    """The URL as the driver reads it, whatever driver it names; what stands behind its `?` (sslmode …) stays."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def direct_connection(
    url: str, *, application: str, statement_seconds: float = DIRECT_STATEMENT_SECONDS, **settings: str
) -> AsyncIterator[asyncpg.Connection]:
    """One connection outside any pool, for locks and notifications that belong to a session."""
    connection = await asyncpg.connect(plain_url(url), **limits(statement_seconds, application))
    try:
        await settle(connection, statement_seconds, **settings)
        yield connection
    finally:
        connection.terminate()


async def _prepare(connection: Any, *, statement_seconds: float) -> None:
    """What each connection of a pool is given once.

    Documents are read as what they mean, and written from that or from text; `::text` in a SELECT keeps the text."""
    # What is asked here is small and asked often: compiling it never pays.
    await settle(connection, statement_seconds, jit="off")
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_document, decoder=json.loads)


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def _keep(_connection: Any) -> None:
    return
