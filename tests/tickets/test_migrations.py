"""The migrated database is what tables.py says, and the serving role may do exactly what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from shared.db.statement import sql
from tests.support.databases import Database
from tests.support.earlier import carried_over
from tickets.tables import metadata

MakeDatabase = Callable[[str], Awaitable[Database]]


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "include_name": lambda name, kind, parents: kind != "schema" or name == "tickets",
            "include_object": lambda _o, name, kind, _r, _c: not (kind == "table" and name == "alembic"),
            "compare_type": True,
            "compare_server_default": True,
        },
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrated_schema_equals_the_tables_of_the_code(database: MakeDatabase) -> None:
    made = await database("tickets")
    assert await made.inspect(_differences) == []
    async with made.engine.connect() as connection:
        sequences = await connection.fetch(
            sql("SELECT sequencename FROM pg_sequences WHERE schemaname = 'tickets' ORDER BY 1")
        )
    assert [row.sequencename for row in sequences] == ["history_position_seq", "ticket_number"]


@pytest.mark.parametrize(
    "statement", ["UPDATE tickets.history SET actor = 'x'", "DELETE FROM tickets.history", "TRUNCATE tickets.history"]
)
async def test_the_serving_role_cannot_change_history(database: MakeDatabase, statement: str) -> None:
    made = await database("tickets")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table history"):
        async with made.begin() as tx:
            await tx.execute(sql(statement))


async def test_the_serving_role_cannot_delete_a_ticket(database: MakeDatabase) -> None:
    made = await database("tickets")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table ticket"):
        async with made.begin() as tx:
            await tx.execute(sql("DELETE FROM tickets.tickets"))


# A ticket as the releases before 0002 and 0003 wrote it; `n` counts.
A_TICKET = (
    "INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, severity, severity_to_review, "
    "priority, title, title_key, description, channel, reported_at, opened_at, opened_by, level) "
    "SELECT ('018f0000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'T-' || n, 1, 'new', 'incident', 'alto', 2, "
    "false, 2, 'A.F.I.P. nº ' || n, 'a.f.i.p. no ' || n, '', 'phone', '2026-11-02', '2026-11-02', 'ana', 1 "
    "FROM generate_series(1, {most}) n"
)


async def test_the_latest_fact_of_an_earlier_ticket_is_its_own_and_not_what_others_did(
    postgres_url: str, tmp_path: Path
) -> None:
    fact = (
        "INSERT INTO tickets.history (ticket_id, fact_id, type, source, occurred_at, recorded_at, actor, origin, "
        "correlation_id, data) "
        "SELECT id, gen_random_uuid(), 'x', '{source}', '{occurred}', '{recorded}', 'ana', 'live', 'c', '{{}}' "
        "FROM tickets.tickets WHERE number = 'T-{n}'"
    )
    inserts = [
        A_TICKET.format(most=3),
        fact.format(source="tickets", occurred="2026-11-03 10:00Z", recorded="2026-11-03 10:00:00.000001Z", n=1),
        fact.format(source="sla", occurred="2026-11-05", recorded="2026-11-05", n=1),
        fact.format(source="tickets", occurred="2026-10-01", recorded="2026-10-01", n=2),
    ]
    async with carried_over(postgres_url, tmp_path, "tickets", "0002", inserts) as rows:
        told = await rows("SELECT (last_fact_at AT TIME ZONE 'UTC')::text FROM tickets.tickets ORDER BY number")
    assert told == [("2026-11-03 10:00:00.000001",), ("2026-11-02 00:00:00",), ("2026-11-02 00:00:00",)]


async def test_what_an_earlier_release_stored_is_found_by_the_new_spelling(postgres_url: str, tmp_path: Path) -> None:
    inserts = [
        "INSERT INTO tickets.clients (id, name, name_key, tax_id, tier, retired, sequence) VALUES "
        "('alto', 'Alto-Paraná S.R.L.', 'alto-parana s.r.l.', '30-71234567-8', 'oro', false, 1), "
        "('bajo', 'Bajo', 'bajo', NULL, 'oro', false, 2)",
        A_TICKET.format(most=12000),
    ]
    async with carried_over(postgres_url, tmp_path, "tickets", "0003", inserts) as rows:
        assert await rows("SELECT id, name_key, tax_key FROM tickets.clients ORDER BY id") == [
            ("alto", "alto parana srl", "30712345678"),
            ("bajo", "bajo", None),
        ]
        (told,) = await rows(
            "SELECT count(*), count(*) FILTER (WHERE title_key = 'afipno' || substr(number, 3)) FROM tickets.tickets"
        )
        assert told == (12000, 12000)
