"""Tells sla what happens to tickets, as the consumer would, and reads what sla tells in turn."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import time_machine

from shared.contracts.envelope import Origin, Received
from shared.contracts.tickets import (
    HoldBrief,
    HoldReason,
    Kind,
    TicketAssigned,
    TicketCancelled,
    TicketEvent,
    TicketHeld,
    TicketOpened,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.messaging.reactions import collect
from sla import subscribers
from sla.commands import clocks as commands
from tests.support.briefs import JUDGED, ticket_brief
from tests.support.databases import Database

ZERO = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
# What a client without a contract is promised for S1 (basico).
RESPONSE, RESOLUTION = 2 * 3600, 32 * 3600

REACTIONS = collect(subscribers)


def at(seconds: float) -> datetime:
    """An instant after the beginning of the test's story."""
    return ZERO + timedelta(seconds=seconds)


def frozen(seconds: float) -> AbstractContextManager[Any]:
    """The clock of the process stands at that instant."""
    return time_machine.travel(at(seconds), tick=False)


async def fire_timers(tx: Transaction, now: datetime) -> int:
    """One portion, as the job's loop does it."""
    due = await commands.TIMERS.claim(tx, now, commands.TIMERS.portion)
    if due:
        await commands.TIMERS.do(tx, due, now)
    return len(due)


async def fire_all(database: Database, seconds: float) -> None:
    """Portions, until nothing is overdue any more."""
    while True:
        async with database.begin() as tx:
            if not await fire_timers(tx, at(seconds)):
                return


_sequences = itertools.count(1)


@dataclass
class Story:
    """One ticket, and the events that tell its life; sequences and versions grow in the order of telling.

    `brief` is what of the ticket is otherwise than usual by now.
    """

    client: str | None = "cliente-sin-contrato"
    severity: int = 1
    kind: Kind = "incident"
    origin: Origin = "live"
    ticket_id: UUID = field(default_factory=new_id)
    brief: dict[str, Any] = field(default_factory=dict)

    def opened(self, seconds: float = 0, reported: float | None = None) -> Received[Any]:
        self.brief["reported_at"] = at(seconds if reported is None else reported)
        return self._received(TicketOpened, seconds, title="La facturación no anda", **JUDGED)

    def assigned(self, seconds: float, assignee: str) -> Received[Any]:
        self.brief |= {"status": "in_progress", "assignee": assignee}
        return self._received(TicketAssigned, seconds, assignee=assignee)

    def responded(self, seconds: float) -> Received[Any]:
        return self._received(TicketResponded, seconds, first=True, channel="phone", text="Lo estamos viendo")

    def held(self, seconds: float, reason: HoldReason = "waiting-for-client") -> Received[Any]:
        self.brief |= {"status": "on_hold", "hold": HoldBrief(reason=reason, since=at(seconds))}
        return self._received(TicketHeld, seconds, reason=reason, note="Falta el archivo")

    def released(self, seconds: float, reason: HoldReason = "waiting-for-client") -> Received[Any]:
        self.brief |= {"status": "in_progress", "hold": None}
        return self._received(TicketReleased, seconds, reason=reason)

    def resolved(self, seconds: float) -> Received[Any]:
        self.brief |= {"status": "resolved", "hold": None}
        return self._received(TicketResolved, seconds, code="configuracion", text="Listo")

    def reopened(self, seconds: float) -> Received[Any]:
        self.brief |= {"status": "in_progress"}
        return self._received(TicketReopened, seconds, reason="Volvió a pasar", previous_status="resolved")

    def cancelled(self, seconds: float) -> Received[Any]:
        self.brief |= {"status": "cancelled", "hold": None}
        return self._received(TicketCancelled, seconds, reason="Se abrió dos veces")

    def _received(self, event: type[TicketEvent], seconds: float, **told: Any) -> Received[Any]:
        self.brief["version"] = self.brief.get("version", 0) + 1
        brief = ticket_brief(client=self.client, kind=self.kind, severity=self.severity, **self.brief)
        data = event(ticket_id=self.ticket_id, ticket=brief, **told)
        return Received(
            id=new_id(),
            source="/desk/tickets",
            type=data.type,
            subject=data.subject(),
            key=data.key(),
            sequence=next(_sequences),
            occurred_at=at(seconds),
            recorded_at=at(seconds),
            origin=self.origin,
            actor="ana",
            correlation_id="corr-1",
            causation_id=None,
            traceparent=None,
            data=data,
        )


async def apply(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Hands the events over in runs of one function, as the consumer does."""
    for function, run in itertools.groupby(events, key=lambda event: REACTIONS.by_type[event.type].function):
        await function(tx, list(run))


async def tell(database: Database, *events: Received[Any], noticed: float | None = None) -> None:
    """Applies the events in one transaction, noticed at the last of them unless said otherwise."""
    instant = max(event.occurred_at for event in events) if noticed is None else at(noticed)
    with time_machine.travel(instant, tick=False):
        async with database.begin() as tx:
            await apply(tx, events)


async def clocks_of(database: Database, ticket_id: UUID) -> dict[str, dict[str, Any]]:
    """The ticket's rows in `clocks` by kind."""
    async with database.connect() as connection:
        rows = await connection.fetch("SELECT * FROM sla.clocks WHERE ticket_id = $1", ticket_id)
    return {row["kind"]: dict(row) for row in rows}


async def kept_ticket(database: Database, ticket_id: UUID) -> dict[str, Any] | None:
    """The ticket as sla keeps it: its brief, and the sequence of the event that told it."""
    async with database.connect() as connection:
        row = await connection.fetchrow("SELECT brief::text, sequence FROM sla.tickets WHERE id = $1", ticket_id)
    return None if row is None else {"brief": json.loads(row["brief"]), "sequence": row["sequence"]}


async def published(database: Database, key: UUID | str | None = None) -> list[dict[str, Any]]:
    """What sla published (for one ticket) in order: short type, headers that matter, data."""
    async with database.connect() as connection:
        rows = await connection.fetch(
            "SELECT a.* FROM runtime.archive a JOIN runtime.outbox USING (position) WHERE $1::text IS NULL OR key = $1"
            " ORDER BY position",
            None if key is None else str(key),
        )
    return [
        {
            "type": row["type"].removeprefix("desk.").removesuffix(".v1"),
            "origin": row["origin"],
            "occurred_at": row["occurred_at"],
            "correlation_id": row["correlation_id"],
            **json.loads(row["value"]),
        }
        for row in rows
    ]


def names(events: Sequence[dict[str, Any]]) -> list[str]:
    """What happened to which clock, in a form that reads well in an assertion."""
    return [f"{event['clock']['kind']} {event['type'].removeprefix('sla-clock.')}" for event in events]


async def timers(database: Database) -> list[tuple[str, datetime]]:
    """The timers that are not void: kind of clock, instant."""
    async with database.connect() as connection:
        rows = await connection.fetch(
            "SELECT c.kind, t.due_at FROM sla.timers t"
            " JOIN sla.clocks c ON c.id = t.clock_id AND c.generation = t.generation ORDER BY t.due_at, c.kind"
        )
    return [(row["kind"], row["due_at"]) for row in rows]
