"""Migrations: the runtime's own history first, then the service's; safe when two replicas start at once.

What is served meanwhile goes on: who waits long for a lock keeps everybody waiting behind it, so nobody does.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.resources
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.connection import Connection
from shared.db.engine import direct_connection, plain_url
from shared.db.failures import DatabaseFailure, pause_after, state_of
from shared.db.schema import RUNTIME
from shared.errors import Unavailable

log = structlog.get_logger(__name__)

# One lock for all migrations of a database, so that the second of two starting replicas waits and finds nothing to do.
_LOCK = 0x0DE5_0001
# How long a lock on a table is waited for; meanwhile everything that wants the table queues up behind.
LOCK_SECONDS = 4.0
# All of it together is 130 s: whoever runs `migrate` and ends what takes too long must hear first who holds the lock.
ATTEMPTS = 10
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0
WATCH_SECONDS = 0.25
# Not had in time; or never to be had, because its holder waits for one that the migration has taken before: the
# revisions run in one transaction, which collects locks in an order of its own.
_NO_LOCK = ("55P03", "40P01")
# Which table it waits for, and who holds it. Other roles' sessions show the owner their names and no more.
_WAITED_FOR = """
    SELECT (SELECT coalesce(relation::regclass::text, locktype) FROM pg_locks WHERE pid = $1 AND NOT granted LIMIT 1),
           array_agg(DISTINCT format('%s (%s, pid %s)', nullif(application_name, ''), usename, pid))
    FROM unnest(pg_blocking_pids($1)) AS held(pid) JOIN pg_stat_activity USING (pid)
"""


class NewerDatabase(Unavailable):
    """The database was migrated by a newer release than this one."""

    code = "newer-database"
    title = "The database is newer than this release"


class OlderDatabase(Unavailable):
    """The database is from before the first revision of its history: nothing that it holds was promised to last."""

    code = "older-database"
    title = "The database is older than anything that this release carries over"


class LockNotFree(Unavailable):
    """Somebody held what a migration must lock, each time that it tried."""

    code = "lock-not-free"
    title = "A migration did not get its lock"


def _scripts(package: str, schema: str) -> Config:
    folder = Path(str(importlib.resources.files(package)))
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(folder / "versions"))
    config.attributes["schema"] = schema
    return config


def _upgrade(connection: SyncConnection, package: str, schema: str, serving_role: str) -> None:
    config = _scripts(package, schema)
    config.attributes["connection"] = connection
    config.attributes["serving_role"] = serving_role
    script = ScriptDirectory.from_config(config)
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    context = MigrationContext.configure(connection, opts={"version_table": "alembic", "version_table_schema": schema})
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = set(context.get_current_heads()) - known
    if unknown and max(unknown) < min(known):
        raise OlderDatabase(
            f"schema {schema} is at {', '.join(sorted(unknown))}, from before the first production, and no release "
            "carries that over: begin anew with empty databases and topics (`make reset` where `make up` made them)"
        )
    if unknown:
        raise NewerDatabase(
            f"schema {schema} is at {', '.join(sorted(unknown))}, which this release does not know: "
            "install the newer one"
        )
    command.upgrade(config, "head")
    quoted = connection.dialect.identifier_preparer.quote(serving_role)
    connection.execute(text(f'GRANT USAGE ON SCHEMA "{schema}" TO {quoted}'))
    # Serving processes compare it with their own release, to say so when the two do not fit.
    connection.execute(text(f'GRANT SELECT ON "{schema}".alembic TO {quoted}'))
    log.info("migrated", schema=schema, heads=list(script.get_heads()))


async def migrate(owner_url: str, *, serving_role: str, histories: Mapping[str, str]) -> None:
    """Brings the database to this release in one transaction, as the owner role: the runtime's tables, then those of
    `histories` (schema → package of its revisions).

    Each migration grants the serving role what it may do on the tables that it makes. A lock that is not had in
    LOCK_SECONDS, or only by a deadlock's other side, undoes everything, and after a growing pause it is tried again.
    Raises NewerDatabase and OlderDatabase when the database is at a revision that this release does not know, and
    LockNotFree when it was tried often enough.
    """
    for attempt in range(1, ATTEMPTS + 1):
        watch = _Watch(owner_url)
        try:
            await _migrate(owner_url, serving_role, {**RUNTIME, **histories}, watch)
        except asyncpg.PostgresError as error:
            if state_of(error) not in _NO_LOCK:
                raise
            if attempt == ATTEMPTS:
                raise LockNotFree(
                    f"the migration waited {ATTEMPTS} times for {watch.told}; nothing was changed. End what holds it, "
                    "and run `migrate` again"
                ) from error
        else:
            return
        pause = pause_after(attempt - 1, first=FIRST_PAUSE_SECONDS, most=LONGEST_PAUSE_SECONDS)
        log.warning("migration waits for a lock", waits_for=watch.told, attempt=attempt, again_in_seconds=pause)
        await asyncio.sleep(pause)


async def _migrate(owner_url: str, serving_role: str, histories: Mapping[str, str], watch: _Watch) -> None:
    """Once, in one transaction."""
    # Made by the driver itself, which understands all that an address may say (sslmode …). A revision may take long, so
    # its statements have no end; the kernel asks whether the server is there.
    connect = functools.partial(
        asyncpg.connect,
        plain_url(owner_url),
        timeout=10,
        connection_class=Connection,
        server_settings={"application_name": "desk migrate"},
    )
    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=connect)
    try:
        async with engine.begin() as connection:
            # Behind another migration is where this one belongs, however long that takes; nobody queues up here.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_SECONDS * 1000:.0f}"))
            async with watch.over(int(await connection.scalar(text("SELECT pg_backend_pid()")))):
                for schema, package in histories.items():
                    await connection.run_sync(_upgrade, package, schema, serving_role)
    except DBAPIError as error:
        # What the driver said, as everywhere else in this product.
        raise (error.orig.__cause__ if error.orig is not None else None) or error from None
    finally:
        await engine.dispose()


class _Watch:
    """Asks by a session of its own what the migration waits for: afterwards nobody could tell any more."""

    def __init__(self, owner_url: str) -> None:
        self._owner_url = owner_url
        self.told = "a lock"

    @asynccontextmanager
    async def over(self, pid: int) -> AsyncIterator[None]:
        """Looks again and again while the block runs; what cannot be asked is not told."""
        looking = asyncio.create_task(self._look(pid))
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError, *DatabaseFailure):
                await looking

    async def _look(self, pid: int) -> None:
        async with direct_connection(self._owner_url, application="desk migrate watching") as connection:
            while True:
                what, holders = await connection.fetchrow(_WAITED_FOR, pid)
                if what is not None and holders:
                    self.told = f"a lock on {what}, held or wanted before by {', '.join(sorted(holders))}"
                await asyncio.sleep(WATCH_SECONDS)
