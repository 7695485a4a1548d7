"""Migrations: the runtime's own history first, then the service's; safe when two replicas start at once."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
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
from shared.db.engine import plain_url
from shared.db.schema import RUNTIME
from shared.errors import Unavailable

log = structlog.get_logger(__name__)

# One lock for all migrations of a database, so that the second of two starting replicas waits and finds nothing to do.
_LOCK = 0x0DE5_0001


class NewerDatabase(Unavailable):
    """The database was migrated by a newer release than this one."""

    code = "newer-database"
    title = "The database is newer than this release"


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

    Each migration grants the serving role what it may do on the tables that it makes. Raises NewerDatabase when the
    database knows a revision that this release does not.
    """
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
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            for schema, package in {**RUNTIME, **histories}.items():
                await connection.run_sync(_upgrade, package, schema, serving_role)
    except DBAPIError as error:
        # What the driver said, as everywhere else in this product.
        raise (error.orig.__cause__ if error.orig is not None else None) or error from None
    finally:
        await engine.dispose()
