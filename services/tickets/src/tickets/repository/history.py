"""The history: everything that ever happened to a ticket, added and never changed."""

# ruff: noqa: S608 - every name that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Cause, Event, Received, Sealed
from shared.contracts.tickets import TicketBrief, TicketEvent
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.versions import Expected
from tickets.domain.ticket import Ticket

_HISTORY_COLUMNS = (
    "ticket_id", "fact_id", "type", "source", "occurred_at", "recorded_at", "actor", "origin", "correlation_id",
    "causation_id", "corrects", "changes", "data",
)  # fmt: skip
_HISTORY = (
    f"INSERT INTO tickets.history ({', '.join(_HISTORY_COLUMNS)}) SELECT {', '.join(_HISTORY_COLUMNS)} "
    "FROM jsonb_populate_recordset(NULL::tickets.history, CAST(:entries AS jsonb))"
)

_ADD_HISTORY = sql(_HISTORY)
# A fact that is known already is not told twice.
_RECORD = sql(f"{_HISTORY} ON CONFLICT (fact_id) DO NOTHING")

# Facts of other services carry no version: they do not touch the ticket's.
_FACTS_SINCE = sql("""
    SELECT fact_id, type, occurred_at, actor, CAST(data -> 'ticket' ->> 'version' AS integer) AS version
      FROM tickets.history
     WHERE ticket_id = :id AND source = 'tickets' AND CAST(data -> 'ticket' ->> 'version' AS integer) > :version
     ORDER BY position LIMIT 20
""")


async def add_facts(tx: Transaction, facts: Sequence[Sealed[TicketEvent]], before: TicketBrief | None) -> None:
    """Adds what a command did to a ticket, each with what it changed; `before` is None for an opening."""
    await tx.write(_ADD_HISTORY, {"entries": _entries(facts, before)})


async def facts_since(tx: Transaction, id: UUID, version: int) -> list[dict[str, Any]]:
    """What people did to a ticket after it had this version, the oldest first, at most twenty."""
    rows = await tx.fetch(_FACTS_SINCE, {"id": id, "version": version})
    return [dict(row) for row in rows]


async def require_seen(tx: Transaction, ticket: Ticket, expected: Expected) -> None:
    """Compares what a caller had seen with a ticket that is locked. Raises VersionChanged.

    What happened since is only read for whoever has to be told.
    """
    await expected.require(ticket.number, ticket.version, partial(facts_since, tx, ticket.id, expected.newest))


async def add_reactions(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Adds facts that other services told about tickets to the history; a fact that is there already is left alone."""
    entries = [
        _entry(event.data.ticket_id, event.id, event.data, event, event.source.rsplit("/", 1)[-1], None)
        for event in events
    ]
    await tx.write(_RECORD, {"entries": json.dumps(entries, default=str)})


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
