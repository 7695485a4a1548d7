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
from tests.support.earlier import database_until, migrate_on, rows_of
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


async def test_what_an_earlier_release_stored_is_found_by_the_new_spelling(postgres_url: str, tmp_path: Path) -> None:
    async with database_until(postgres_url, tmp_path, "tickets", "0002") as url:
        await rows_of(
            url,
            "INSERT INTO tickets.clients (id, name, name_key, tax_id, tier, retired, sequence) VALUES "
            "('alto', 'Alto-Paraná S.R.L.', 'alto-parana s.r.l.', '30-71234567-8', 'oro', false, 1), "
            "('bajo', 'Bajo', 'bajo', NULL, 'oro', false, 2)",
        )
        await rows_of(
            url,
            "INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, severity, severity_to_review, "
            "priority, title, title_key, description, channel, reported_at, opened_at, opened_by, level) "
            "SELECT gen_random_uuid(), 'T-' || n, 1, 'new', 'incident', 'alto', 2, false, 2, 'A.F.I.P. nº ' || n, "
            "'a.f.i.p. no ' || n, '', 'phone', '2026-11-02', '2026-11-02', 'ana', 1 FROM generate_series(1, 12000) n",
        )
        await migrate_on(url, "tickets")
        assert await rows_of(url, "SELECT id, name_key, tax_key FROM tickets.clients ORDER BY id") == [
            ("alto", "alto parana srl", "30712345678"),
            ("bajo", "bajo", None),
        ]
        (told,) = await rows_of(
            url,
            "SELECT count(*), count(*) FILTER (WHERE title_key = 'afipno' || substr(number, 3)) FROM tickets.tickets",
        )
        assert told == (12000, 12000)
