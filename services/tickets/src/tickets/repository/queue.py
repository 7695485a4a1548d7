"""The queue: one row for each open ticket, computed from ticket and clocks by one statement."""

# ruff: noqa: S608 - every name that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.db.statement import Statement, sql
from shared.db.transaction import Transaction
from tickets.domain.workflow import ENDED

# Whether a ticket `t` is P1/S1, for every statement that asks it.
IMMEDIATE = "t.severity = 1 AND t.priority = 1"
# Clocks that have not come yet may be anything, so such a ticket is looked at first, and of these what must not wait at
# all. Then the same of those whose clocks run, what runs out next, and what is paused, by the seconds that it has left.
# Last is where nothing runs out any more.
_PLACE = f"""
    SELECT CASE
               WHEN t.status = 'resolved' THEN 5
               WHEN c.clocks = 'pending' AND {IMMEDIATE} THEN 0
               WHEN c.clocks = 'pending' THEN 1
               WHEN c.clocks = 'running' AND {IMMEDIATE} THEN 2
               WHEN c.clocks = 'running' THEN 3
               WHEN c.clocks = 'paused' THEN 4
               ELSE 5
           END AS turn,
           CASE c.clocks
               WHEN 'paused' THEN COALESCE(c.left_seconds, 0)
               ELSE CAST(extract(epoch FROM COALESCE(c.due_at, t.opened_at)) * 1000000 AS bigint)
           END AS turn_by
"""
_CLOCKS = """
    SELECT CASE
               WHEN count(*) = 0 THEN 'pending'
               WHEN bool_or(k.course = 'running' AND k.due_at IS NOT NULL) THEN 'running'
               WHEN bool_or(k.course = 'paused') THEN 'paused'
               ELSE 'ended'
           END AS clocks,
           min(k.due_at) FILTER (WHERE k.course = 'running') AS due_at,
           (array_agg(k.kind ORDER BY k.due_at, k.id) FILTER (WHERE k.course = 'running'))[1] AS due_kind,
           COALESCE((array_agg(k.breached_at IS NOT NULL ORDER BY k.due_at, k.id)
               FILTER (WHERE k.course = 'running'))[1], false) AS due_breached,
           COALESCE(bool_or(k.breached_at IS NOT NULL), false) AS breached,
           min(k.target_seconds - k.elapsed_seconds) FILTER (WHERE k.course = 'paused') AS left_seconds
      FROM tickets.clocks k WHERE k.ticket_id = t.id
"""
_ENDED = ", ".join(f"'{status}'" for status in ENDED)
_OPEN_OF_TICKET = (
    "id", "number", "title_key", "reported_at", "opened_at", "last_fact_at", "status", "hold_reason", "kind",
    "client_id", "product_id", "module_id", "installation_id", "severity", "priority", "level", "target", "team",
    "owner", "assignee",
)  # fmt: skip
# Who takes part in it beside its assignee, as what, and whom it calls.
_OPEN_OF_PEOPLE = {
    "parts": "ARRAY(SELECT (p ->> 'role') || ':' || (p ->> 'person_id') "
    "FROM jsonb_array_elements(t.participants) p ORDER BY 1)",
    "calls": "ARRAY(SELECT DISTINCT a ->> 'addressee' FROM jsonb_array_elements(t.attention) a ORDER BY 1)",
}
_OPEN_OF_CLOCKS = ("clocks", "due_kind", "due_at", "due_breached", "breached")
_OPEN_COLUMNS = (*_OPEN_OF_TICKET, *_OPEN_OF_PEOPLE, *_OPEN_OF_CLOCKS, "turn", "turn_by")


def _refresh(tickets: str) -> Statement:
    """The one statement that computes rows of open_tickets, of those tickets and their clocks as they are now.

    Two transactions may not do this for the same ticket at once: each would miss what the other has not committed. So
    whoever changes a ticket or its clocks locks the ticket first, in a statement of its own.
    """
    changed = ", ".join(f"{name} = now.{name}" for name in _OPEN_COLUMNS)
    return sql(f"""
        MERGE INTO tickets.open_tickets o
        USING (SELECT {", ".join(f"t.{name}" for name in _OPEN_OF_TICKET)},
                      {", ".join(f"{written} AS {name}" for name, written in _OPEN_OF_PEOPLE.items())},
                      {", ".join(f"c.{name}" for name in _OPEN_OF_CLOCKS)},
                      p.turn, p.turn_by
                 FROM {tickets} t CROSS JOIN LATERAL ({_CLOCKS}) c CROSS JOIN LATERAL ({_PLACE}) p) now
           ON o.id = now.id
         WHEN MATCHED AND now.status IN ({_ENDED}) THEN DELETE
         WHEN MATCHED AND ({", ".join(f"o.{name}" for name in _OPEN_COLUMNS)})
              IS DISTINCT FROM ({", ".join(f"now.{name}" for name in _OPEN_COLUMNS)}) THEN UPDATE SET {changed}
         WHEN NOT MATCHED AND now.status NOT IN ({_ENDED}) THEN
              INSERT ({", ".join(_OPEN_COLUMNS)}) VALUES ({", ".join(f"now.{name}" for name in _OPEN_COLUMNS)})
    """)


# A statement does not see what its neighbours in the same WITH change: a command gives the ticket that it stores.
_REFRESH_STORED = _refresh("jsonb_populate_record(NULL::tickets.tickets, CAST(:ticket AS jsonb))")
_REFRESH_LOCKED = _refresh("(SELECT * FROM tickets.tickets WHERE id = ANY(CAST(:ids AS uuid[])))")
_LOCK_EVERY_OPEN = sql(f"""
    SELECT id FROM tickets.tickets t
    WHERE t.status NOT IN ({_ENDED}) OR t.reopenable_until >= :now
          OR EXISTS (SELECT FROM tickets.open_tickets o WHERE o.id = t.id)
    ORDER BY id FOR NO KEY UPDATE
""")
_LOCK = sql("SELECT id FROM tickets.tickets WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE")


async def lock_tickets(tx: Transaction, ids: Collection[UUID]) -> list[UUID]:
    """Locks tickets until the end of the transaction, before anything beside them changes; those that there are."""
    return [row["id"] for row in await tx.fetch(_LOCK, {"ids": sorted(ids)})]


async def refresh_open(tx: Transaction, ids: Collection[UUID]) -> None:
    """Computes the rows of these tickets in the queue from what is stored. They must be locked."""
    if ids:
        await tx.flush()
        await tx.write(_REFRESH_LOCKED, {"ids": sorted(ids)})


async def lock_every_open(tx: Transaction, now: datetime) -> list[UUID]:
    """Locks every ticket that is in the queue, belongs there, or may still be reopened."""
    return [row["id"] for row in await tx.fetch(_LOCK_EVERY_OPEN, {"now": now})]


async def refresh_stored(tx: Transaction, row: dict[str, Any]) -> None:
    """Computes the row of a ticket that was just stored, from its columns as they are given."""
    given = {name: row[name] for name in (*_OPEN_OF_TICKET, "participants", "attention")}
    await tx.write(_REFRESH_STORED, {"ticket": json.dumps(given, default=str)})
