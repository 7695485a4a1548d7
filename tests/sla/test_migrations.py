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

from sla.repository.clocks import FACT_DOCUMENT, fact_of
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


async def test_what_was_kept_by_its_meaning_is_kept_as_it_was_told(postgres_url: str, tmp_path: Path) -> None:
    known = [
        ("start", None, None, "desk.ticket.opened.v1"),
        ("stop", "response", None, "desk.ticket.responded.v1"),
        ("stop", None, None, "desk.ticket.resolved.v1"),
        ("pause", "resolution", "waiting-for-client", "desk.ticket.held.v1"),
        ("resume", "resolution", None, "desk.ticket.released.v1"),
        ("reopen", "resolution", None, "desk.ticket.reopened.v1"),
        ("cancel", None, None, "desk.ticket.cancelled.v1"),
    ]

    def given(value: str | None) -> str:
        return "NULL" if value is None else f"'{value}'"

    inserts = [
        f"""INSERT INTO sla.clock_facts (ticket_id, fact_id, kind, concerns, reason, occurred_at, sequence, recorded_at)
            VALUES (gen_random_uuid(), gen_random_uuid(), '{kind}', {given(concerns)}, {given(reason)},
                    '2026-11-02T12:00:00Z', {number}, now())"""
        for number, (kind, concerns, reason, _) in enumerate(known)
    ] + [
        """INSERT INTO sla.clock_facts (ticket_id, fact_id, kind, concerns, calendar_version, told_at, occurred_at,
                                        sequence, recorded_at)
           VALUES (gen_random_uuid(), gen_random_uuid(), 'switch', 'response', 2, '2026-11-03T12:00:00Z',
                   '2026-11-02T12:00:00Z', 99, now())"""
    ]
    async with carried_over(postgres_url, tmp_path, "sla", "0007", inserts) as rows:
        found = await rows(f"SELECT {FACT_DOCUMENT}::text FROM sla.clock_facts f ORDER BY f.sequence")
    facts = [fact_of(json.loads(str(document))) for (document,) in found]
    meant = [(one.kind.value, one.concerns, one.reason) for one in facts]
    assert meant == [*((kind, concerns, reason) for kind, concerns, reason, _ in known), ("switch", "response", None)]
    assert (facts[-1].calendar_version, facts[-1].told_at) == (2, datetime(2026, 11, 3, 12, tzinfo=UTC))
