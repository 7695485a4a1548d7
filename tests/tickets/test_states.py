"""The database takes exactly those states of a ticket that its actions can lead to, whoever writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import asyncpg
import pytest

from shared.contracts.tickets import Status, Target
from tests.support.databases import OWNER, Database
from tests.tickets.desk import open_one
from tests.tickets.domain.reached import THERE_OR_NOT, State, reached
from tickets.domain.states import CONDITIONS

# Each constraint as the database has it, on whatever row its columns are given.
_CONSTRAINTS = """
    SELECT conname, pg_get_expr(conbin, conrelid) AS holds FROM pg_constraint
     WHERE conrelid = 'tickets.tickets'::regclass AND contype = 'c' AND convalidated
"""
_INSTANTS = (
    "held_at", "wake_at", "first_responded_at", "resolved_at", "reopenable_until", "closes_at", "closed_at",
    "cancelled_at",
)  # fmt: skip
_FLAGS = ", ".join(f"{name} IS NOT NULL" for name in THERE_OR_NOT)


def every_state(holds: str) -> str:
    """The query for all the states that a condition lets pass, of every one that can be written down."""
    either = [
        f"(VALUES (NULL::{kind}), ({value})) AS of_{name} ({name})"
        for name in THERE_OR_NOT
        for kind, value in [("timestamptz", "now()") if name in _INSTANTS else ("text", "'x'")]
    ]
    listed = {
        "status": [*get_args(Status), "parked"],
        "level": [0, 1, 2, 3, 4],
        "target": [None, *get_args(Target), "call-centre"],
        "hold_reason": [None, "agreed-date", "other"],
    }
    values = [
        f"(VALUES {', '.join('(NULL)' if one is None else f'({one!r})' for one in known)}) AS of_{name} ({name})"
        for name, known in listed.items()
    ]
    columns = f"status, level, target, hold_reason, ARRAY[{_FLAGS}] AS there"
    return f"SELECT {columns} FROM {' CROSS JOIN '.join([*values, *either])} WHERE ({holds}) IS NOT false"


async def passing(connection: asyncpg.Connection, holds: Iterable[str]) -> set[State]:
    """The states that all of these let pass."""
    rows = await connection.fetch(every_state(" AND ".join(f"({one})" for one in holds)))
    return {(row["status"], row["level"], row["target"], row["hold_reason"], tuple(row["there"])) for row in rows}


async def test_the_database_takes_what_the_actions_lead_to_and_nothing_else(desk: Database) -> None:
    async with desk.connect() as connection:
        found = {row["conname"]: row["holds"] for row in await connection.fetch(_CONSTRAINTS)}
        assert set(found) == set(CONDITIONS)
        assert await passing(connection, found.values()) == reached()
        assert await passing(connection, CONDITIONS.values()) == reached(), "the code's own text says the same"


# What somebody might do to a new ticket past the actions, and which constraint has something against it.
PAST: dict[str, str] = {
    "status = 'parked'": "tickets_status", "target = 'analysts'": "tickets_level", "level = 2": "tickets_level",
    "assignee = 'eva'": "tickets_untouched", "first_responded_at = now()": "tickets_untouched",
    "status = 'on_hold'": "tickets_hold", "hold_note = 'x'": "tickets_hold", "wake_at = now()": "tickets_hold",
    "closes_at = now()": "tickets_resolution", "reopenable_until = now()": "tickets_resolution",
    "status = 'resolved'": "tickets_resolution", "resolution_code = 'x'": "tickets_resolution",
    "status = 'cancelled'": "tickets_end", "closed_at = now()": "tickets_end",
}  # fmt: skip


async def test_whoever_writes_past_the_actions_is_refused(desk: Database) -> None:
    await open_one(desk)
    assert set(PAST.values()) == set(CONDITIONS)
    async with desk.connect(OWNER) as owner:
        for change, name in PAST.items():
            with pytest.raises(asyncpg.CheckViolationError) as refused:
                await owner.execute(f"UPDATE tickets.tickets SET {change}")
            assert refused.value.constraint_name == name, change
