"""Loads and stores tickets and their history by explicit statements; the only SELECT ... FOR UPDATE."""

# ruff: noqa: S608 - every name that is put into a statement is a field of a class or written in this file

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Cause, Event, Received, Sealed
from shared.contracts.tickets import EnvironmentBrief, Groups, TicketBrief, TicketEvent
from shared.db.statement import Statement, query, sql
from shared.db.transaction import Row, Transaction
from shared.spelling import search_key
from tickets.domain.grouping import Asked, Known, KnownClient, KnownInstallation, KnownModule
from tickets.domain.ticket import Handover, Opening, Ticket, TicketNotFound
from tickets.domain.urgency import KnownContract
from tickets.domain.workflow import ENDED

# The columns that opening settles for good, and those that actions change.
_GROUP_COLUMNS = ("client_id", "product_id", "module_id")
_OPENING_COLUMNS = tuple(one.name for one in fields(Opening) if one.name != "groups")
_TICKET_COLUMNS = tuple(one.name for one in fields(Ticket) if one.name != "opening")
_CHANGING_COLUMNS = tuple(name for name in _TICKET_COLUMNS if name not in ("id", "number", "opened_at", "opened_by"))
_ALL_COLUMNS = (*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS, "title_key")

_HISTORY_COLUMNS = (
    "ticket_id", "fact_id", "type", "source", "occurred_at", "recorded_at", "actor", "origin", "correlation_id",
    "causation_id", "corrects", "changes", "data",
)  # fmt: skip
_HISTORY = (
    f"INSERT INTO tickets.history ({', '.join(_HISTORY_COLUMNS)}) SELECT {', '.join(_HISTORY_COLUMNS)} "
    "FROM jsonb_populate_recordset(NULL::tickets.history, CAST(:entries AS jsonb))"
)

_INSERT = sql(
    f"INSERT INTO tickets.tickets ({', '.join(_ALL_COLUMNS)}) VALUES ({', '.join(':' + name for name in _ALL_COLUMNS)})"
)
_UPDATE = sql(
    f"UPDATE tickets.tickets SET {', '.join(f'{name} = :{name}' for name in _CHANGING_COLUMNS)} WHERE id = :id"
)
_ADD_HISTORY = sql(_HISTORY)
# A fact that is known already is not told twice.
_RECORD = sql(f"{_HISTORY} ON CONFLICT (fact_id) DO NOTHING")

_LOAD = sql(
    f"SELECT {', '.join((*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS))} "
    "FROM tickets.tickets WHERE id = :id FOR UPDATE"
)

# Facts of other services carry no version: they do not touch the ticket's.
_FACTS_SINCE = sql("""
    SELECT fact_id, type, occurred_at, actor, CAST(data -> 'ticket' ->> 'version' AS integer) AS version
      FROM tickets.history
     WHERE ticket_id = :id AND source = 'tickets' AND CAST(data -> 'ticket' ->> 'version' AS integer) > :version
     ORDER BY position LIMIT 20
""")

_HANDOVER_COLUMNS = ", ".join(f"t.{name}" for name in (*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS))
_LOAD_WITH_HANDOVER = sql(f"""
    SELECT {_HANDOVER_COLUMNS}, e.data::text AS environment,
           (SELECT min(c.due_at) FROM tickets.clocks c
             WHERE c.ticket_id = t.id AND c.kind = 'resolution' AND c.course = 'running') AS resolution_due_at
      FROM tickets.tickets t
      LEFT JOIN tickets.environments e ON e.ticket_id = t.id AND e.state = 'resolved'
     WHERE t.id = :id FOR UPDATE OF t
""")

# Everything that an opening must know, in one round trip: the number, and what the replicas say of the ids named.
_KNOWN = query("""
    SELECT nextval('tickets.ticket_number') AS number,
           (SELECT json_build_object('tier', c.tier, 'retired', c.retired, 'contracts', COALESCE((
                       SELECT json_agg(json_build_object('contract_type', k.contract_type, 'valid_from', k.valid_from,
                                  'valid_until', k.valid_until, 'promised_s1_seconds', k.promised_s1_seconds))
                         FROM tickets.contracts k WHERE k.client_id = c.id AND NOT k.retired), '[]'))
              FROM tickets.clients c WHERE c.id = :client_id)::text AS client,
           (SELECT p.retired FROM tickets.products p WHERE p.id = :product_id) AS product_retired,
           (SELECT json_build_object('product_id', m.product_id, 'client_id', m.client_id, 'retired', m.retired)
              FROM tickets.modules m WHERE m.id = :module_id)::text AS module,
           (SELECT json_build_object('client_id', i.client_id, 'product_id', i.product_id, 'retired', i.retired)
              FROM tickets.installations i WHERE i.id = :installation_id)::text AS installation
""")


# Whether a ticket `t` is P1/S1, for every statement that asks it.
IMMEDIATE = "t.severity = 1 AND t.priority = 1"
# Clocks that have not come yet may be anything, so such a ticket is looked at first. Then what must not wait at all,
# what runs out next, and what is paused, by the seconds that it has left. Last is where nothing runs out any more.
_PLACE = f"""
    SELECT CASE
               WHEN t.status = 'resolved' THEN 4
               WHEN c.clocks = 'pending' THEN 0
               WHEN c.clocks = 'running' AND {IMMEDIATE} THEN 1
               WHEN c.clocks = 'running' THEN 2
               WHEN c.clocks = 'paused' THEN 3
               ELSE 4
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
               FILTER (WHERE k.course = 'running'))[1], false) AS breached,
           min(k.target_seconds - k.elapsed_seconds) FILTER (WHERE k.course = 'paused') AS left_seconds
      FROM tickets.clocks k WHERE k.ticket_id = t.id
"""
_ENDED = ", ".join(f"'{status}'" for status in ENDED)
_OPEN_OF_TICKET = (
    "id", "number", "title_key", "opened_at", "status", "client_id", "product_id", "module_id", "severity", "priority",
    "level", "target", "assignee",
)  # fmt: skip
_OPEN_OF_CLOCKS = ("clocks", "due_kind", "due_at", "breached")
_OPEN_COLUMNS = (*_OPEN_OF_TICKET, *_OPEN_OF_CLOCKS, "turn", "turn_by")


def _refresh(tickets: str) -> Statement:
    """The one statement that computes rows of open_tickets, of those tickets and their clocks as they are now.

    Two transactions may not do this for the same ticket at once: each would miss what the other has not committed. So
    whoever changes a ticket or its clocks locks the ticket first, in a statement of its own.
    """
    changed = ", ".join(f"{name} = now.{name}" for name in _OPEN_COLUMNS)
    return sql(f"""
        MERGE INTO tickets.open_tickets o
        USING (SELECT {", ".join(f"t.{name}" for name in _OPEN_OF_TICKET)},
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
    WHERE t.status NOT IN ({_ENDED}) OR t.resolved_at >= :resolved_since
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


async def lock_every_open(tx: Transaction, *, resolved_since: datetime) -> list[UUID]:
    """Locks every ticket that is in the queue, belongs there, or may be reopened: was resolved since that instant."""
    return [row["id"] for row in await tx.fetch(_LOCK_EVERY_OPEN, {"resolved_since": resolved_since})]


async def read_known(tx: Transaction, asked: Asked) -> tuple[str, Known]:
    """The next ticket number and what the replicas know of the ids that were named, in one statement."""
    row = await tx.fetch_one(_KNOWN, {name: getattr(asked, name) for name in Asked.__slots__})
    module, installation = _json(row["module"]), _json(row["installation"])
    known = Known(
        client=_known_client(_json(row["client"])),
        product_retired=row["product_retired"],
        module=KnownModule(**module) if module else None,
        installation=KnownInstallation(**installation) if installation else None,
    )
    return f"T-{row['number']:06d}", known


async def insert_ticket(tx: Transaction, ticket: Ticket, facts: Sequence[Sealed[TicketEvent]]) -> None:
    """Stores a new ticket and the facts that it begins with, and puts it into the queue."""
    row = _row_of(ticket)
    await tx.write(_INSERT, row)
    await _refresh_stored(tx, row)
    await tx.write(_ADD_HISTORY, {"entries": _entries(facts, None)})


async def store_ticket(tx: Transaction, before: Ticket, after: Ticket, facts: Sequence[Sealed[TicketEvent]]) -> None:
    """Stores what an action made of a ticket, adds its facts to the history, and moves it in the queue."""
    await tx.write(_UPDATE, {name: getattr(after, name) for name in ("id", *_CHANGING_COLUMNS)})
    await _refresh_stored(tx, _row_of(after))
    await tx.write(_ADD_HISTORY, {"entries": _entries(facts, before.brief())})


async def load_ticket(tx: Transaction, id: UUID) -> Ticket:
    """The ticket, locked until the end of the transaction. Raises TicketNotFound."""
    row = await tx.fetch_first(_LOAD, {"id": id})
    if row is None:
        raise _not_found(id)
    return _ticket_of(row)


async def load_ticket_with_handover(tx: Transaction, id: UUID) -> tuple[Ticket, Handover]:
    """The ticket, locked, and what is known beside it for whoever takes it over. Raises TicketNotFound."""
    row = await tx.fetch_first(_LOAD_WITH_HANDOVER, {"id": id})
    if row is None:
        raise _not_found(id)
    return _ticket_of(row), Handover(_brief(_json(row["environment"])), row["resolution_due_at"])


async def facts_since(tx: Transaction, id: UUID, version: int) -> list[dict[str, Any]]:
    """What people did to a ticket after it had this version, the oldest first, at most twenty."""
    rows = await tx.fetch(_FACTS_SINCE, {"id": id, "version": version})
    return [dict(row) for row in rows]


async def add_reactions(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Adds facts that other services told about tickets to the history; a fact that is there already is left alone."""
    entries = [
        _entry(event.data.ticket_id, event.id, event.data, event, event.source.rsplit("/", 1)[-1], None)
        for event in events
    ]
    await tx.write(_RECORD, {"entries": json.dumps(entries, default=str)})


async def _refresh_stored(tx: Transaction, row: dict[str, Any]) -> None:
    given = {name: row[name] for name in _OPEN_OF_TICKET}
    await tx.write(_REFRESH_STORED, {"ticket": json.dumps(given, default=str)})


def _entries(facts: Sequence[Sealed[TicketEvent]], before: TicketBrief | None) -> str:
    written = []
    for one in facts:
        changes = _changes(before, one.data.ticket) if before is not None else None
        written.append(_entry(one.data.ticket_id, one.id, one.data, one.cause, "tickets", changes))
        before = one.data.ticket
    return json.dumps(written, default=str)


def _changes(before: TicketBrief, after: TicketBrief) -> dict[str, list[Any]]:
    """Each part of a ticket that a fact changed, with what it was and what it is; its version changes every time."""
    old, new = (brief.model_dump(mode="json", exclude={"version"}) for brief in (before, after))
    return {name: [old[name], new[name]] for name in new if old[name] != new[name]}


def _entry(
    ticket_id: UUID,
    fact_id: UUID,
    data: Event,
    cause: Cause | Received[Any],
    source: str,
    changes: dict[str, list[Any]] | None,
) -> dict[str, Any]:
    """One row of the history. A Received event carries the same attributes as a Cause."""
    return {
        "ticket_id": ticket_id,
        "fact_id": fact_id,
        "type": data.type,
        "source": source,
        "occurred_at": cause.occurred_at,
        "recorded_at": cause.recorded_at,
        "actor": cause.actor,
        "origin": cause.origin,
        "correlation_id": cause.correlation_id,
        "causation_id": cause.causation_id,
        "corrects": None,
        "changes": changes,
        "data": data.model_dump(mode="json", exclude={"ticket_id"}),
    }


def _row_of(ticket: Ticket) -> dict[str, Any]:
    opening = ticket.opening
    row = {name: getattr(ticket, name) for name in _TICKET_COLUMNS}
    row.update({name: getattr(opening, name) for name in _OPENING_COLUMNS})
    row.update({name: getattr(opening.groups, name) for name in _GROUP_COLUMNS})
    row["title_key"] = search_key(opening.title)
    return row


def _not_found(id: UUID) -> TicketNotFound:
    return TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")


def _ticket_of(row: Row) -> Ticket:
    groups = Groups.model_construct(**{name: row[name] for name in _GROUP_COLUMNS})
    opening = Opening(groups=groups, **{name: row[name] for name in _OPENING_COLUMNS})
    return Ticket(opening=opening, **{name: row[name] for name in _TICKET_COLUMNS})


def _known_client(found: Any) -> KnownClient | None:
    if found is None:
        return None
    contracts = tuple(
        KnownContract(
            contract_type=one["contract_type"],
            valid_from=datetime.fromisoformat(one["valid_from"]),
            valid_until=datetime.fromisoformat(one["valid_until"]) if one["valid_until"] else None,
            promised_s1_seconds=one["promised_s1_seconds"],
        )
        for one in found["contracts"]
    )
    return KnownClient(tier=found["tier"], retired=found["retired"], contracts=contracts)


def _brief(snapshot: Any) -> EnvironmentBrief | None:
    if snapshot is None:
        return None
    return EnvironmentBrief(
        installation_id=snapshot["installation_id"],
        product_version=snapshot["product_version"],
        customised_modules=tuple(one["module_id"] for one in snapshot["modules"] if one["nature"] == "customised"),
    )


def _json(value: str | None) -> Any:
    return json.loads(value) if value is not None else None
