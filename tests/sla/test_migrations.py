"""The migrated database is what tables.py says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from sla.tables import metadata
from tests.support.databases import Database
from tests.support.earlier import carried_over


def differences(connection: Connection) -> list[Any]:
    def is_mine(name: str | None, kind: str, _parents: Any) -> bool:
        return name == "sla" if kind == "schema" else name != "alembic"

    options = {"include_schemas": True, "include_name": is_mine, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrations_make_exactly_the_declared_tables(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    sla = await database("sla")
    assert await sla.inspect(differences) == []


A_CLOCK = (
    "INSERT INTO sla.clocks (id, ticket_id, kind, client_id, contract_version, target_seconds, terms, origin, "
    "correlation_id, state, started_at, since, counted_seconds, warned_percent, generation) "
    "SELECT gen_random_uuid(), gen_random_uuid(), 'response', state, 0, 3600, '{}', 'live', 'c', state, "
    "'2026-11-02Z', '2026-11-02Z', 0, 0, 0 FROM unnest(ARRAY['running', 'paused', 'stopped']) AS given (state)"
)


async def test_clocks_that_an_earlier_release_stopped_have_ended(postgres_url: str, tmp_path: Path) -> None:
    async with carried_over(postgres_url, tmp_path, "sla", "0002", [A_CLOCK]) as rows:
        told = await rows("SELECT client_id AS before, state FROM sla.clocks ORDER BY before")
    assert told == [("paused", "paused"), ("running", "running"), ("stopped", "ended")]
