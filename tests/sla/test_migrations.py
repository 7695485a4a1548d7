"""The migrated database is what tables.py says, and what there was goes on in it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
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


async def test_a_clock_that_counted_day_and_night_goes_on_so(postgres_url: str, tmp_path: Path) -> None:
    inserts = [
        """INSERT INTO sla.clocks (id, ticket_id, kind, cycle, contract_version, target_seconds, terms, origin,
               correlation_id, course, started_at, since, counted_seconds, due_at, warned_seconds, generation)
           VALUES (gen_random_uuid(), gen_random_uuid(), 'response', 1, 0, 7200,
               '{"pausing_holds": [], "thresholds": []}', 'live', 'c', 'running', '2026-11-02T12:00:00Z',
               '2026-11-02T12:00:00Z', 0, '2026-11-02T14:00:00Z', 0, 0)"""
    ]
    async with carried_over(postgres_url, tmp_path, "sla", "0006", inserts) as rows:
        assert await rows("SELECT calendar_id, calendar_version, due_at - started_at FROM sla.clocks") == [
            ("24x7", 1, timedelta(hours=2))
        ]
        ((terms, counted_in),) = await rows("SELECT terms::text, counted_in::text FROM sla.clocks")
        assert json.loads(str(terms))["calendar"] == ["24x7", 1]
        ((since, calendar),) = json.loads(str(counted_in))
        assert (datetime.fromisoformat(since), calendar) == (datetime(2026, 11, 2, 12, tzinfo=UTC), ["24x7", 1])
