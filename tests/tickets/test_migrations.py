"""The migrated database is what tables.py says, and the serving role may do exactly what it needs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from shared.db.statement import sql
from tests.support.databases import Database
from tests.support.earlier import carried_over
from tickets.domain.contract import ClosingDays, KnownContract
from tickets.repository.contracts import contracts_in
from tickets.tables import house, replicas, tickets, urgency

# One metadata, to which each file adds its tables.
(METADATA,) = {part.metadata for part in (house, replicas, tickets, urgency)}
MakeDatabase = Callable[[str], Awaitable[Database]]
OPEN, CLOSED = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))


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
    return list(compare_metadata(context, METADATA))


async def test_the_migrated_schema_equals_the_tables_of_the_code(database: MakeDatabase) -> None:
    made = await database("tickets")
    assert await made.inspect(_differences) == []
    async with made.engine.connect() as connection:
        sequences = await connection.fetch(
            sql("SELECT sequencename FROM pg_sequences WHERE schemaname = 'tickets' ORDER BY 1")
        )
    assert [row.sequencename for row in sequences] == ["history_position_seq", "ticket_number"]


# Alembic compares neither predicates nor storage: without them the lists of ended tickets would read every ticket.
ENDED = "WHERE (status = ANY (ARRAY['closed'::text, 'cancelled'::text]))"
OF_ENDED = {
    "cancelled_by_opening": "USING btree (opened_at, id) WHERE (status = 'cancelled'::text)",
    "ended_by_assignee": f"USING btree (assignee, opened_at, id) {ENDED}",
    "ended_by_client": f"USING btree (client_id, opened_at, id) {ENDED}",
    "ended_by_team": f"USING btree (team, opened_at, id) {ENDED}",
    "ended_by_owner": f"USING btree (owner, opened_at, id) {ENDED}",
    "ended_by_module": f"USING btree (module_id, opened_at, id) {ENDED}",
    "ended_by_opening": f"USING btree (opened_at, id) {ENDED}",
    "ended_by_change": f"USING btree (last_fact_at) {ENDED}",
    "ended_by_closing": f"USING btree (closed_at) {ENDED}",
    "ended_by_participant": f"USING gin (participants jsonb_path_ops) {ENDED}",
    "ended_by_title": f"USING gin (title_key tickets.gin_trgm_ops) WITH (fastupdate=off) {ENDED}",
}
# What a job looks for must not cost it the whole table either.
OF_TIME = {
    "tickets_to_close": "USING btree (closes_at, id) WHERE (closes_at IS NOT NULL)",
    "tickets_that_call": "USING btree (owner) WHERE ((status = 'closed'::text) AND (attention <> '[]'::jsonb))",
    "tickets_to_wake": "USING btree (wake_at, id) WHERE (wake_at IS NOT NULL)",
}


async def test_the_indexes_of_ended_tickets_and_of_the_jobs_are_of_those_and_of_no_others(
    database: MakeDatabase,
) -> None:
    made = await database("tickets")
    async with made.connect() as connection:
        rows = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'tickets' AND tablename = 'tickets'"
        )
    found = {row["indexname"]: row["indexdef"].partition(" ON tickets.tickets ")[2] for row in rows}
    keys = {"tickets_pkey": "USING btree (id)", "tickets_number_key": "USING btree (number)"}
    assert found == keys | OF_ENDED | OF_TIME


@pytest.mark.parametrize(
    "statement", ["UPDATE tickets.history SET actor = 'x'", "DELETE FROM tickets.history", "TRUNCATE tickets.history"]
)
async def test_the_serving_role_cannot_change_history(database: MakeDatabase, statement: str) -> None:
    made = await database("tickets")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table history"):
        async with made.begin() as tx:
            await tx.execute(sql(statement))


# Two tickets as the release before 0008 wrote them, one of which has ended.
EARLIER = (
    *(
        f"""INSERT INTO tickets.tickets (id, number, version, status, opened_at, opened_by, last_fact_at, course_at,
                   owner, level, kind, client_id, severity, severity_to_review, priority, title, title_key, description,
                   channel, reported_at)
            VALUES ('{ticket_id}', 'T-00000{ticket_id[-1]}', 1, '{status}', now(), 'ana', now(), now(), '{owner}', 1,
                   'incident', 'molinos', 2, false, 2, 'x', 'x', '', 'phone', now())"""
        for ticket_id, status, owner in ((OPEN, "new", "ana"), (CLOSED, "closed", "bruno"))
    ),
    f"""INSERT INTO tickets.open_tickets (id, number, title_key, opened_at, status, client_id, severity, priority,
               level, clocks, breached, turn, turn_by)
        VALUES ('{OPEN}', 'T-000001', 'x', now(), 'new', 'molinos', 2, 2, 1, 'pending', false, 0, 0)""",
)  # fmt: skip


async def test_what_is_open_is_queued_with_its_owner_and_nobody_is_called(postgres_url: str, tmp_path: Path) -> None:
    async with carried_over(postgres_url, tmp_path, "tickets", "0008", EARLIER) as rows:
        assert await rows("SELECT CAST(id AS text), owner FROM tickets.open_tickets") == [(OPEN, "ana")]
        kept = "owner, participants, last_hands, attention, wake_at"
        assert await rows(f"SELECT {kept} FROM tickets.tickets ORDER BY id") == [
            ("ana", "[]", "{}", "[]", None), ("bruno", "[]", "{}", "[]", None),
        ]  # fmt: skip


# One that names its installation, and one that does not, with what was frozen on it, as before 0009.
BEFORE_COMPLETING = (
    *EARLIER[:2],
    f"UPDATE tickets.tickets SET installation_id = 'molinos-gestion' WHERE id = '{OPEN}'",
    f"""INSERT INTO tickets.open_tickets (id, number, title_key, opened_at, status, client_id, severity, priority,
               level, owner, clocks, breached, turn, turn_by)
        VALUES ('{OPEN}', 'T-000001', 'x', now(), 'new', 'molinos', 2, 2, 1, 'ana', 'pending', false, 0, 0)""",
    f"INSERT INTO tickets.environments VALUES ('{OPEN}', 'resolved', '{{}}', 7)",
)  # fmt: skip


async def test_what_was_frozen_is_of_the_opening_and_the_queue_knows_installations(
    postgres_url: str, tmp_path: Path
) -> None:
    async with carried_over(postgres_url, tmp_path, "tickets", "0009", BEFORE_COMPLETING) as rows:
        assert await rows("SELECT CAST(ticket_id AS text), classification, state FROM tickets.environments") == [
            (OPEN, 1, "resolved"),
        ]  # fmt: skip
        assert await rows("SELECT installation_id FROM tickets.open_tickets") == [("molinos-gestion",)]
        assert await rows("SELECT DISTINCT classification FROM tickets.tickets") == [(1,)]


# As the release before 0011 wrote them: a queue of three, the first P1/S1 and held, the last with a clock that ran out.
QUEUED = [f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3)]
BEFORE_LISTS = (
    *(
        f"""INSERT INTO tickets.tickets (id, number, version, status, opened_at, opened_by, last_fact_at, course_at,
                   owner, level, kind, client_id, severity, severity_to_review, priority, title, title_key, description,
                   channel, reported_at, hold_reason, participants)
            VALUES ('{ticket_id}', 'T-00000{ticket_id[-1]}', 1, 'on_hold', '2026-11-02Z', 'ana', '2026-11-03Z',
                   '2026-11-02Z', 'ana', 1, 'question', 'molinos', {urgent}, false, {urgent}, 'x', 'x', '', 'phone',
                   '2026-11-01Z', {hold}, '[{{"role": "working", "person_id": "eva"}}]')"""
        for ticket_id, urgent, hold in zip(QUEUED, (1, 2, 1), ("'development'", "NULL", "NULL"), strict=True)
    ),
    *(
        f"""INSERT INTO tickets.open_tickets (id, number, title_key, opened_at, status, client_id, severity, priority,
                   level, owner, working, clocks, breached, turn, turn_by)
            VALUES ('{ticket_id}', 'T', 'x', now(), 'new', 'molinos', 2, 2, 1, 'ana', '{{eva}}', 'x', false, {turn},
                   0)"""
        for ticket_id, turn in zip(QUEUED, (0, 0, 1), strict=True)
    ),
    f"""INSERT INTO tickets.clocks (id, ticket_id, kind, cycle, course, outcome, contract_version, target_seconds,
               elapsed_seconds, started_at, since, breached_at, sequence)
        VALUES ('{QUEUED[0]}', '{QUEUED[2]}', 'response', 1, 'stopped', 'breached', 1, 1, 1, now(), now(), now(), 1)""",
)


async def test_the_queue_has_what_it_is_narrowed_to_and_the_urgent_first(postgres_url: str, tmp_path: Path) -> None:
    async with carried_over(postgres_url, tmp_path, "tickets", "0011", BEFORE_LISTS) as rows:
        columns = "kind, hold_reason, parts, breached, due_breached, turn"
        assert await rows(f"SELECT {columns} FROM tickets.open_tickets ORDER BY id") == [
            ("question", "development", ["working:eva"], False, False, 0),
            ("question", None, ["working:eva"], False, False, 1),
            ("question", None, ["working:eva"], True, False, 2),
        ]
        when = "DISTINCT reported_at = '2026-11-01Z' AND last_fact_at = '2026-11-03Z'"
        assert await rows(f"SELECT {when} FROM tickets.open_tickets") == [(True,)]


# As before 0013: a contract without versions, a clock that counts day and night, a ticket that is resolved and one that
# is closed.
BEFORE_BUSINESS_HOURS = (
    """INSERT INTO tickets.contracts (id, client_id, contract_type, valid_from, promised_s1_seconds, product_ids,
              retired, sequence) VALUES ('c-1', 'molinos', 'oro', '2026-01-01Z', 28800, '["gestion"]', false, 7)""",
    f"""INSERT INTO tickets.clocks (id, ticket_id, kind, cycle, course, outcome, contract_version, target_seconds,
               elapsed_seconds, started_at, since, sequence)
        VALUES ('{OPEN}', '{OPEN}', 'response', 1, 'paused', 'pending', 1, 1, 1, '2026-11-02Z', '2026-11-02Z', 1)""",
    *(
        f"""INSERT INTO tickets.tickets (id, number, version, status, opened_at, opened_by, last_fact_at, course_at,
                   owner, level, kind, client_id, severity, severity_to_review, priority, title, title_key, description,
                   channel, reported_at, resolution_code, resolution_text, resolved_at, closed_at)
            VALUES ('{ticket_id}', 'T-00000{ticket_id[-1]}', 1, '{status}', now(), 'ana', now(), now(), 'ana', 1,
                   'incident', 'molinos', 2, false, 2, 'x', 'x', '', 'phone', now(), 'c', 'x', '2026-11-02Z',
                   {closed})"""
        for ticket_id, status, closed in ((OPEN, "resolved", "NULL"), (CLOSED, "closed", "'2026-11-03Z'"))
    ),
)


async def test_what_was_agreed_is_a_first_version_and_what_was_resolved_keeps_its_windows(
    postgres_url: str, tmp_path: Path
) -> None:
    async with carried_over(postgres_url, tmp_path, "tickets", "0013", BEFORE_BUSINESS_HOURS) as rows:
        ((document,),) = await rows("SELECT versions FROM tickets.contracts")
        (version,) = contracts_in([{"id": "c-1", "versions": json.loads(str(document))}])
        begun = datetime(2026, 1, 1, tzinfo=UTC)
        assert version == KnownContract(
            "c-1", 1, begun, "oro", begun, None, 28800, ClosingDays("comercial", 5, 3), ("gestion",)
        )
        ((counted_in,),) = await rows("SELECT counted_in FROM tickets.clocks")
        assert [(one["calendar_id"], one["calendar_version"]) for one in json.loads(str(counted_in))] == [("24x7", 1)]
        windows = "reopenable_until = '2026-11-07Z', closes_at = '2026-11-05Z', closes_at IS NULL"
        assert await rows(f"SELECT {windows} FROM tickets.tickets ORDER BY id") == [
            (True, True, False), (True, None, True),
        ]  # fmt: skip


async def test_the_serving_role_cannot_delete_a_ticket(database: MakeDatabase) -> None:
    made = await database("tickets")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table ticket"):
        async with made.begin() as tx:
            await tx.execute(sql("DELETE FROM tickets.tickets"))
