"""Migrations: two replicas at once, databases of other releases, what the serving role may do, tables of the code."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from runner.bringup import COMMAND_WITHIN_SECONDS
from runner.databases import create_database, drop_database
from shared.db import migrate as migrations
from shared.db.engine import direct_connection
from shared.db.failures import pause_after
from shared.db.migrate import LockNotFree, NewerDatabase, OlderDatabase, migrate
from shared.db.statement import sql
from shared.errors import DeskError
from shared.messaging.tables import metadata
from tests.support.databases import OWNER, PASSWORD, SERVING, Database
from tests.support.earlier import carried_over
from tests.support.eventually import eventually

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


@pytest.mark.parametrize(
    ("revision", "refusal", "advice"),
    [
        ("sla_9999", NewerDatabase, "install the newer one"),
        ("sla_0003", OlderDatabase, "begin anew with empty databases and topics"),
        ("sla_0001", OlderDatabase, "make reset"),
    ],
)
async def test_a_database_that_this_release_does_not_carry_over_is_refused_and_left_as_it_is(
    empty: str, revision: str, refusal: type[DeskError], advice: str
) -> None:
    await migrate(empty, serving_role=SERVING, histories={"sla": "sla.migrations"})
    connection = await asyncpg.connect(empty)
    await connection.execute("UPDATE sla.alembic SET version_num = $1", revision)
    before = await tables_of(empty)
    with pytest.raises(refusal, match=f"schema sla is at {revision}.*{advice}"):
        await migrate(empty, serving_role=SERVING, histories={"devlink": "devlink.migrations", "sla": "sla.migrations"})
    assert await tables_of(empty) == before, "what was begun before the refusal is rolled back"
    assert await connection.fetchval("SELECT version_num FROM sla.alembic") == revision
    await connection.close()


async def test_a_history_that_is_whole_carries_over_what_its_first_revision_made(
    postgres_url: str, tmp_path: Path
) -> None:
    """The runtime's begins with its first revision: no database of it is too old."""
    async with carried_over(postgres_url, tmp_path, "runtime", "0002", []) as rows:
        await migrate(rows.url, serving_role=SERVING, histories={"devlink": "devlink.migrations"})
        (present,) = await rows("SELECT version_num FROM runtime.alembic")
        assert present > ("runtime_0002",)
        assert await rows("SELECT version_num FROM devlink.alembic") == [("devlink_0003",)]


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Waits shortly, looks often, and notes what it says; what it notes must not depend on how fast the machine is."""
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1.0)
    monkeypatch.setattr(migrations, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(migrations, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(migrations, "LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(migrations, "ATTEMPTS", 1000)
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(migrations.log, "warning", lambda event, **told: said.append({"event": event, **told}))
    return said


@asynccontextmanager
async def held(url: str, table: str) -> AsyncIterator[None]:
    """A lock as a long report has it: reading, in a transaction that does not end."""
    async with direct_connection(url, application="a long report") as reader, reader.transaction():
        await reader.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield


async def with_another_revision(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migrated database, and a release that makes one table more and alters one that is in use."""
    await migrate(url, serving_role=SERVING, histories={})

    def upgrade(connection: Connection, *_names: str) -> None:
        connection.execute(text("CREATE TABLE runtime.made_before (id int)"))
        connection.execute(text("ALTER TABLE runtime.archive ADD COLUMN added int"))

    monkeypatch.setattr(migrations, "_upgrade", upgrade)


async def test_a_migration_that_does_not_get_its_lock_gives_way_and_comes_back(
    empty: str, impatient: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_another_revision(empty, monkeypatch)
    async with held(empty, "runtime.archive"):
        migrating = asyncio.create_task(migrate(empty, serving_role=SERVING, histories={}))

        async def named() -> bool:
            return any("runtime.archive" in each["waits_for"] for each in impatient)

        await eventually(named, within=60, what="it says what it waits for")
        assert not migrating.done()
        told = next(each for each in impatient if "runtime.archive" in each["waits_for"])
        assert told["event"] == "migration waits for a lock"
        assert "a long report (test_owner, pid" in told["waits_for"]
        # Between two attempts everybody else passes, and nothing is left of the first.
        writer = await asyncpg.connect(empty)
        await writer.execute("DELETE FROM runtime.archive")
        await writer.close()
    await asyncio.wait_for(migrating, 60)
    assert {"runtime.made_before"} <= set(await tables_of(empty))
    assert [each["attempt"] for each in impatient] == list(range(1, len(impatient) + 1))


async def test_a_migration_that_never_gets_its_lock_ends_and_leaves_nothing(
    empty: str, impatient: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_another_revision(empty, monkeypatch)
    monkeypatch.setattr(migrations, "ATTEMPTS", 2)
    before = await tables_of(empty)
    async with held(empty, "runtime.archive"):
        with pytest.raises(LockNotFree, match=r"waited 2 times for a lock"):
            await migrate(empty, serving_role=SERVING, histories={})
    assert await tables_of(empty) == before
    assert len(impatient) == 1


async def waiting(url: str, table: str) -> bool:
    """Whether somebody waits for a lock on the table."""
    async with direct_connection(url, application="looking") as connection:
        asked = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted)"
        return bool(await connection.fetchval(asked, table))


async def test_a_migration_that_is_the_victim_of_a_deadlock_comes_back(
    postgres_url: str, empty: str, impatient: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty, serving_role=SERVING, histories={})
    # Longer than a deadlock takes to be noticed (one second), or the end of the wait would come first.
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 20.0)

    def upgrade(connection: Connection, *_names: str) -> None:
        connection.execute(text("ALTER TABLE runtime.archive ADD COLUMN added int"))
        connection.execute(text("ALTER TABLE runtime.outbox ADD COLUMN added int"))

    monkeypatch.setattr(migrations, "_upgrade", upgrade)
    administrator = make_url(postgres_url).set(database=make_url(empty).database)
    live = await asyncpg.connect(
        administrator.render_as_string(hide_password=False),
        # The live transaction waits patiently, so the migration is always the one that notices and is ended.
        server_settings={"deadlock_timeout": "60s", "application_name": "live"},
    )
    async with live.transaction():
        await live.execute("UPDATE runtime.outbox SET position = position")
        migrating = asyncio.create_task(migrate(empty, serving_role=SERVING, histories={}))
        await eventually(lambda: waiting(empty, "runtime.outbox"), within=30, what="it waits for the second table")
        assert await live.fetchval("SELECT count(*) FROM runtime.archive") == 0
    await live.close()
    await asyncio.wait_for(migrating, 60)
    assert impatient, "it gave way at least once"
    assert "runtime.outbox, held or wanted before by live (" in impatient[0]["waits_for"]


def test_whoever_runs_it_hears_who_holds_the_lock_before_it_is_ended() -> None:
    pauses = [
        pause_after(failures, first=migrations.FIRST_PAUSE_SECONDS, most=migrations.LONGEST_PAUSE_SECONDS)
        for failures in range(migrations.ATTEMPTS - 1)
    ]
    waits = migrations.ATTEMPTS * migrations.LOCK_SECONDS + sum(pauses)
    # A quarter is left for what a revision itself takes, at each attempt.
    assert waits < 0.75 * COMMAND_WITHIN_SECONDS
