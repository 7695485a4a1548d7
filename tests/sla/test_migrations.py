"""The migrated database is what tables.py says."""

from __future__ import annotations

import json
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


async def test_the_percentages_of_an_earlier_release_become_seconds_of_each_clock_s_own_target(
    postgres_url: str, tmp_path: Path
) -> None:
    clock = (
        "INSERT INTO sla.clocks (id, ticket_id, kind, client_id, contract_version, target_seconds, terms, origin, "
        "correlation_id, state, started_at, since, counted_seconds, warned_percent, generation) "
        "SELECT gen_random_uuid(), gen_random_uuid(), 'resolution', client, 0, target, terms::jsonb, 'live', 'c', "
        "'running', '2026-11-02Z', '2026-11-02Z', 0, warned, 0 FROM (VALUES "
        '(\'a\', 7200, 50, \'{"pausing_holds": ["development"], "warn_percents": [50, 80]}\'), '
        "('b', 15, 90, '{\"pausing_holds\": [], \"warn_percents\": [50, 75, 90]}'), "
        # Ten years: what the former number is multiplied by does not fit a smaller type.
        "('c', 316224000, 99, '{\"pausing_holds\": [], \"warn_percents\": [99]}'), "
        "('d', 60, 0, '{\"pausing_holds\": [], \"warn_percents\": []}')) AS given (client, target, warned, terms)"
    )
    timer = (
        "INSERT INTO sla.timers (due_at, clock_id, generation, percent) "
        "SELECT '2026-11-03Z', id, 0, 80 FROM sla.clocks WHERE client_id = 'a'"
    )
    async with carried_over(postgres_url, tmp_path, "sla", "0003", [clock, timer]) as rows:
        told = await rows("SELECT client_id, warned_seconds, terms::text FROM sla.clocks ORDER BY client_id")
        assert await rows("SELECT client_id FROM sla.timers JOIN sla.clocks c ON c.id = clock_id") == [("a",)]
    assert [(client, warned, json.loads(str(terms))) for client, warned, terms in told] == [
        ("a", 3600, {"pausing_holds": ["development"], "thresholds": [said(3600, "50%"), said(5760, "80%")]}),
        ("b", 14, {"pausing_holds": [], "thresholds": [said(8, "50%"), said(12, "75%"), said(14, "90%")]}),
        ("c", 313061760, {"pausing_holds": [], "thresholds": [said(313061760, "99%")]}),
        ("d", 0, {"pausing_holds": [], "thresholds": []}),
    ]


def said(seconds: int, said_as: str) -> dict[str, object]:
    return {"seconds": seconds, "said_as": said_as}
