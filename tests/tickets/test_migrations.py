"""The migrated database is what tables.py says, and the serving role may do exactly what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import begin
from tests.support.databases import Database
from tests.support.earlier import carried_over
from tickets import repository
from tickets.tables import metadata, open_tickets

_QUEUE = f"SELECT {', '.join(open_tickets.columns.keys())} FROM tickets.open_tickets ORDER BY id"
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
        "correlation_id, data) SELECT id, gen_random_uuid(), 'desk.ticket.{type}.v1', '{source}', '{occurred}', "
        "'{recorded}', 'ana', 'live', 'c', '{{}}' "
        "FROM tickets.tickets WHERE number = 'T-{n}'"
    )
    inserts = [
        A_TICKET.format(most=3),
        fact.format(
            source="tickets", occurred="2026-11-03 10:00Z", recorded="2026-11-03 10:00:00.000001Z", n=1, type="held"
        ),
        fact.format(source="sla", occurred="2026-11-05", recorded="2026-11-05", n=1, type="x"),
        fact.format(source="tickets", occurred="2026-10-01", recorded="2026-10-01", n=2, type="responded"),
    ]
    async with carried_over(postgres_url, tmp_path, "tickets", "0002", inserts) as rows:
        told = await rows(
            "SELECT (last_fact_at AT TIME ZONE 'UTC')::text, (course_at AT TIME ZONE 'UTC')::text "
            "FROM tickets.tickets ORDER BY number"
        )
    opened = "2026-11-02 00:00:00"
    assert told == [("2026-11-03 10:00:00.000001", "2026-11-03 10:00:00"), (opened, opened), (opened, opened)]


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


# Six tickets and their clocks as the releases before 0004 wrote them.
A_QUEUE = (
    "INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, severity, severity_to_review, "
    "priority, title, title_key, description, channel, reported_at, opened_at, opened_by, level) "
    "SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'T-' || n, 1, status, 'incident', 'alto', "
    "CASE n WHEN 4 THEN 1 ELSE 2 END, false, 1, 'x', 'x', '', 'phone', '2026-11-02Z', '2026-11-02Z', 'ana', 1 "
    "FROM unnest(ARRAY['new', 'in_progress', 'on_hold', 'new', 'resolved', 'closed']) "
    "WITH ORDINALITY AS tickets (status, n)"
)
ITS_CLOCKS = (
    "INSERT INTO tickets.clocks (id, ticket_id, kind, start_sequence, course, due_at, due_sequence, "
    "course_sequence, warned_sequence, breached_at, breach_sequence, remaining_seconds) "
    "SELECT gen_random_uuid(), ('00000000-0000-0000-0000-00000000000' || n)::uuid, kind, 1, course, "
    "due_at::timestamptz, 1, 1, 0, CASE kind WHEN 'response' THEN now() END, 1, left_seconds FROM (VALUES "
    "(2, 'resolution', 'running', '2026-11-04Z', NULL), (2, 'response', 'running', '2026-11-03Z', NULL), "
    "(3, 'resolution', 'paused', '2026-11-04Z', 77), (4, 'resolution', 'running', '2026-11-09Z', NULL), "
    "(5, 'resolution', 'met', '2026-11-09Z', 5), (6, 'resolution', 'met', '2026-11-09Z', 5)) "
    "AS clocks (n, kind, course, due_at, left_seconds)"
)


async def test_open_tickets_of_an_earlier_release_stand_in_the_queue_where_this_one_would_put_them(
    postgres_url: str, tmp_path: Path
) -> None:
    inserts = [A_QUEUE, ITS_CLOCKS]
    async with carried_over(postgres_url, tmp_path, "tickets", "0004", inserts) as rows:
        assert await rows(
            "SELECT number, clocks, due_kind, breached, turn, turn_by FROM tickets.open_tickets ORDER BY turn, turn_by",
        ) == [
            ("T-1", "pending", None, False, 0, 1793577600000000),
            ("T-4", "running", "resolution", False, 1, 1794182400000000),
            ("T-2", "running", "response", True, 2, 1793664000000000),
            ("T-3", "paused", None, False, 3, 77),
            ("T-5", "ended", None, False, 4, 1793577600000000),
        ]
        # Whatever this release's statement says of the same tickets is what the revision wrote.
        filled = await rows(_QUEUE)
        await rows("DELETE FROM tickets.open_tickets")
        engine = make_engine(rows.url, application="test", pool_size=1)
        async with begin(engine, lambda: None) as tx:
            await repository.refresh_open(tx, [UUID(int=n) for n in range(1, 7)])
        await engine.dispose()
        assert await rows(_QUEUE) == filled
        assert await rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'closed_by_title'") == [
            (
                "CREATE INDEX closed_by_title ON tickets.tickets USING gin (title_key tickets.gin_trgm_ops) "
                "WITH (fastupdate=off) WHERE (status = 'closed'::text)",
            )
        ]


async def test_what_an_earlier_release_was_warned_of_is_said_as_the_contract_says_it(
    postgres_url: str, tmp_path: Path
) -> None:
    clocks = (
        "INSERT INTO tickets.clocks (id, ticket_id, kind, start_sequence, course_sequence, due_sequence, "
        "warned_percent, warned_sequence, breach_sequence) SELECT gen_random_uuid(), gen_random_uuid(), 'response', "
        "1, 1, 1, percent, sequence, 0 FROM (VALUES (75, 7), (NULL, 0)) AS given (percent, sequence)"
    )
    async with carried_over(postgres_url, tmp_path, "tickets", "0005", [clocks]) as rows:
        told = await rows("SELECT warned_sequence, warned_as FROM tickets.clocks ORDER BY 1")
    assert told == [(0, None), (7, "75%")]
