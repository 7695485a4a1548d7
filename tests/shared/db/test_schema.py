"""A database of an older or a newer release: readiness says which, migrate refuses the newer and changes nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from runner.ports import free_port
from shared.db.migrate import NewerDatabase, migrate
from shared.db.schema import History, SchemaNewer, SchemaOlder, read_histories, require_schema
from tests.support.databases import CHECKOUT, OWNER, SERVING, Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]
SERVICES = ("tickets", "inventory", "sla", "devlink")
NEWER = "UPDATE devlink.alembic SET version_num = 'devlink_9999'"


async def asked(db: Database, histories: Iterable[History] | None = None) -> None:
    async with db.engine.connect() as connection:
        await require_schema(connection, "devlink", list(histories or read_histories("devlink")))


async def as_owner(db: Database, *statements: str) -> None:
    async with db.connect(OWNER) as connection:
        for statement in statements:
            await connection.execute(statement)


@pytest.mark.parametrize("service", SERVICES)
def test_the_heads_that_are_read_from_the_files_are_those_of_alembic(service: str) -> None:
    folders = {
        "runtime": CHECKOUT / "shared/src/shared/messaging/migrations",
        service: CHECKOUT / f"services/{service}/src/{service}/migrations",
    }
    for history in read_histories(service):
        config = Config()
        config.set_main_option("script_location", str(folders[history.schema]))
        config.set_main_option("path_separator", "os")
        script = ScriptDirectory.from_config(config)
        assert history.heads == set(script.get_heads())
        assert history.known == {each.revision for each in script.walk_revisions()}


def test_a_branched_history_ends_where_nothing_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = tmp_path / "branched" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "__init__.py").touch()
    revisions = {
        "a": 'revision = "a"\ndown_revision = None',
        "b": 'revision: str = "b"\ndown_revision: str | None = "a"',
        "c": 'revision = "c"\ndown_revision = "a"',
        "d": 'revision = "d"\ndown_revision = ("b", "c")',
        "e": 'revision = "e"\ndown_revision = "a"\n\n\ndef upgrade():\n    revision = "none of ours"',
    }
    for name, source in revisions.items():
        (versions / f"{name}.py").write_text(source)
    (tmp_path / "branched" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (_, history) = read_histories("branched")
    assert history.known == {"a", "b", "c", "d", "e"}
    assert history.heads == {"d", "e"}


def test_no_serving_process_imports_alembic() -> None:
    code = "import sys, shared.parts, tickets.__main__, tickets.api; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_migrated_database_fits_and_is_asked_once(database: Make) -> None:
    db = await database("devlink")
    await asked(db)


async def test_a_revision_that_this_release_does_not_know_is_a_newer_database(database: Make) -> None:
    db = await database("devlink")
    await as_owner(db, NEWER)
    with pytest.raises(SchemaNewer, match=r"older than the database: schema devlink is at devlink_9999"):
        await asked(db)


async def test_a_revision_before_the_last_is_an_older_database(database: Make) -> None:
    db = await database("devlink")
    runtime, devlink = read_histories("devlink")
    later = History("devlink", devlink.known | {"devlink_9999"}, frozenset({"devlink_9999"}))
    with pytest.raises(SchemaOlder, match=r"at devlink_\d+ instead of devlink_9999: run `python -m devlink migrate`"):
        await asked(db, [runtime, later])


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM runtime.alembic",
        "DROP TABLE devlink.alembic",
        "DROP SCHEMA devlink CASCADE",
        f"REVOKE SELECT ON devlink.alembic FROM {SERVING}",
    ],
)
async def test_what_was_never_migrated_to_this_release_is_told_how(database: Make, damage: str) -> None:
    db = await database("devlink")
    await as_owner(db, damage)
    with pytest.raises(SchemaOlder, match="run `python -m devlink migrate` as the owner role"):
        await asked(db)


async def test_the_serving_role_reads_the_revision_and_cannot_change_it(database: Make) -> None:
    db = await database("devlink")
    async with db.connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM devlink.alembic") == 1
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(NEWER)


async def everything(db: Database) -> dict[str, Any]:
    """Columns, grants, revisions and the number of rows of every table."""
    async with db.connect(OWNER) as connection:
        columns = await connection.fetch(
            "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema IN ('runtime', 'devlink') ORDER BY 1, 2, 3"
        )
        grants = await connection.fetch(
            "SELECT n.nspname, c.relname, c.relacl::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('runtime', 'devlink') ORDER BY 1, 2"
        )
        tables = sorted({(row["table_schema"], row["table_name"]) for row in columns})
        counts = {name: await connection.fetchval('SELECT count(*) FROM "{}"."{}"'.format(*name)) for name in tables}
        revisions = await connection.fetch(
            "SELECT version_num FROM runtime.alembic UNION ALL SELECT version_num FROM devlink.alembic"
        )
    return {"columns": columns, "grants": grants, "counts": counts, "revisions": revisions}


async def test_migrating_a_newer_database_changes_nothing_at_all(database: Make) -> None:
    db = await database("devlink")
    # The runtime's history comes first: what migrate grants there before it sees the newer schema must go again.
    await as_owner(db, NEWER, f"REVOKE SELECT ON runtime.alembic FROM {SERVING}")
    before = await everything(db)
    with pytest.raises(NewerDatabase, match="devlink_9999, which this release does not know"):
        await migrate(db.owner_url, serving_role=SERVING, histories={"devlink": "devlink.migrations"})
    assert await everything(db) == before


async def test_the_command_refuses_a_newer_database_in_one_sentence(database: Make) -> None:
    db = await database("devlink")
    await as_owner(db, NEWER)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devlink", "migrate", cwd=CHECKOUT,
        env={**os.environ, "DESK_DATABASE_URL": db.url, "DESK_OWNER_DATABASE_URL": db.owner_url},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1
    assert "devlink: schema devlink is at devlink_9999, which this release does not know" in said.decode()
    assert "Traceback" not in said.decode()


@asynccontextmanager
async def running(part: str, db: Database, bootstrap: str) -> AsyncIterator[httpx2.AsyncClient]:
    port = free_port()
    environment = {"DESK_DATABASE_URL": db.url, "DESK_KAFKA_BOOTSTRAP": bootstrap, "DESK_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devlink", part, env={**os.environ, **environment}, cwd=CHECKOUT,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            yield client
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("part", ["api", "consumer", "relay", "jobs"])
async def test_every_part_waits_for_the_migration_and_is_ready_after_it(
    database: Make, kafka_bootstrap: str, part: str
) -> None:
    db = await database("devlink")
    (_, devlink) = read_histories("devlink")
    await as_owner(db, "DELETE FROM devlink.alembic")
    async with running(part, db, kafka_bootstrap) as client:
        told = await eventually(lambda: readiness(client))
        assert told["status_code"] == 503
        assert "the database is older than this release" in told["checks"]["schema"]
        await as_owner(db, f"INSERT INTO devlink.alembic VALUES ('{min(devlink.heads)}')")

        async def fits() -> bool:
            return bool((await readiness(client))["checks"]["schema"] == "ok")

        await eventually(fits, what="a schema that fits")


async def test_beside_a_newer_release_a_process_serves_on_and_says_so(database: Make, kafka_bootstrap: str) -> None:
    db = await database("devlink")
    await as_owner(db, NEWER)
    async with running("api", db, kafka_bootstrap) as client:

        async def told_so() -> str:
            told = await readiness(client)
            assert told == {} or (told["status_code"], told["checks"]["schema"]) == (200, "ok")
            return str(told.get("status", {}).get("schema", ""))

        told = await eventually(told_so)
        assert "this release is older than the database: schema devlink is at devlink_9999" in str(told)


async def readiness(client: httpx2.AsyncClient) -> dict[str, Any]:
    """What /readyz says, with its status; empty while nobody listens yet."""
    try:
        answer = await client.get("/readyz")
    except httpx2.TransportError:
        return {}
    return {"status_code": answer.status_code, **answer.json()}
