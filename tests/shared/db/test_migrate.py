"""Migrations: two replicas at once, a newer database, what the serving role may do, tables as the code knows them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from runner.databases import create_database, drop_database
from shared.db.migrate import NewerDatabase, migrate
from shared.db.statement import sql
from shared.messaging.tables import metadata
from tests.support.databases import OWNER, PASSWORD, SERVING, Database

Make = Callable[[str], Awaitable[Database]]
HISTORIES = {"sla": "sla.migrations", "devlink": "devlink.migrations"}


@pytest.fixture
async def empty(postgres_url: str) -> AsyncIterator[str]:
    """The owner's address of a database without any table."""
    name = f"empty_{uuid.uuid4().hex[:10]}"
    await create_database(postgres_url, name, OWNER, PASSWORD, SERVING, PASSWORD)
    url = make_url(postgres_url).set(database=name, username=OWNER, password=PASSWORD)
    yield url.render_as_string(hide_password=False)
    await drop_database(postgres_url, name)


async def tables_of(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT schemaname || '.' || tablename AS name FROM pg_tables "
            "WHERE schemaname IN ('runtime', 'sla', 'devlink')"
        )
    finally:
        await connection.close()
    return sorted(row["name"] for row in rows)


async def test_four_replicas_that_start_at_once_migrate_once(empty: str) -> None:
    await asyncio.gather(*[migrate(empty, serving_role=SERVING, histories=HISTORIES) for _ in range(4)])
    tables = await tables_of(empty)
    assert {"runtime.archive", "sla.clocks", "devlink.tasks"} <= set(tables)
    await migrate(empty, serving_role=SERVING, histories=HISTORIES)
    assert await tables_of(empty) == tables


async def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(empty: str) -> None:
    await migrate(empty, serving_role=SERVING, histories={"sla": "sla.migrations"})
    connection = await asyncpg.connect(empty)
    await connection.execute("UPDATE sla.alembic SET version_num = 'sla_9999'")
    await connection.close()
    before = await tables_of(empty)
    with pytest.raises(NewerDatabase, match="sla_9999"):
        await migrate(empty, serving_role=SERVING, histories={"devlink": "devlink.migrations", "sla": "sla.migrations"})
    assert await tables_of(empty) == before, "what was begun before the refusal is rolled back"


async def test_the_runtime_s_tables_are_those_of_the_code(empty: str) -> None:
    await migrate(empty, serving_role=SERVING, histories={})

    def differences(connection: Connection) -> list[object]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == "runtime",
            "include_object": lambda found, name, kind, reflected, _: name != "alembic",
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine(make_url(empty).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE runtime.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "ALTER TABLE runtime.archive ADD COLUMN mine int",
        "DROP TABLE runtime.outbox",
        "UPDATE runtime.archive SET actor = 'somebody else'",
        "DELETE FROM runtime.archive",
        "TRUNCATE runtime.archive",
    ],
)
async def test_the_serving_role_may_not(database: Make, statement: str) -> None:
    db = await database("runtime")
    async with db.engine.connect() as connection:
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            await connection.fetch(sql(statement))
