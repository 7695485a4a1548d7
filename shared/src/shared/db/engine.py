"""Engines: how a process of a service connects to its own database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A frozen process must not hold its locks for ever: PostgreSQL ends its transaction, and another process goes on.
IDLE_IN_TRANSACTION = "3s"


def make_engine(
    url: str,
    *,
    application: str,
    pool_size: int = 10,
    idle_in_transaction: str = IDLE_IN_TRANSACTION,
    statement_timeout: str = "30s",
) -> AsyncEngine:
    """An engine on asyncpg for a URL of any PostgreSQL spelling. `application` is what pg_stat_activity shows."""
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        # Statements' parameters are what somebody said: they must not travel with an error into a log.
        hide_parameters=True,
        pool_recycle=1800,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": application,
                "idle_in_transaction_session_timeout": idle_in_transaction,
                "statement_timeout": statement_timeout,
                "timezone": "UTC",
                "jit": "off",
            },
        },
    )


@asynccontextmanager
async def direct_connection(url: str, *, application: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection outside any pool, for locks and notifications that belong to a session."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(
        plain, timeout=5, server_settings={"application_name": application, "timezone": "UTC", **settings}
    )
    try:
        yield connection
    finally:
        connection.terminate()
