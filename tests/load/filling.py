"""Many tickets at once, by COPY: what years of work leave, most of it ended, without waiting for years."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from shared.db.engine import make_engine
from shared.db.transaction import begin
from shared.spelling import search_key
from tests.support.briefs import ticket_brief
from tickets.repository import queue

OPEN = 20_000
YEARS = timedelta(days=3 * 365)
# How often a word is in a title: the first in three of ten, the last in three of a thousand.
FREQUENT = {"factura": 0.3, "impresora": 0.1, "sueldos": 0.03, "balanza": 0.01, "remito": 0.003}
# A word that is in so many titles, however many there are.
RARE, RARE_TITLES = "quesuyacu", 12
LONG_HISTORY = 2000
PEOPLE = [f"persona-{number}" for number in range(200)]
CLIENTS = [f"client-{number}" for number in range(40)]
# A client that has so many tickets, however many there are.
SMALL_CLIENT, ITS_TICKETS = "client-small", 50
PRODUCTS = [f"product-{number}" for number in range(6)]
TARGETS = (None, None, "analysts", "functional-analysis", "development")
# One in so many of the ended tickets was cancelled.
CANCELLED = 500
_TABLES = ("tickets", "history", "clocks")
# What an answer to the client looks like in a history: the brief of a ticket is most of it.
TOLD = json.dumps(
    {
        "ticket": ticket_brief(version=2, status="in_progress").model_dump(mode="json"),
        "first": False, "channel": "phone", "text": "lo estamos viendo con el equipo", "occurred_late_reason": None,
    }
)  # fmt: skip
CHANGES = "{}"
# What every clock counts in: office hours, so that each has windows to be found in.
COUNTED_IN = json.dumps([{"from_at": "2020-01-01T00:00:00Z", "calendar_id": "comercial", "calendar_version": 1}])
_OFFICE = (("09:00", "18:00"),)
_COMERCIAL = WrittenCalendar(
    timezone="America/Argentina/Buenos_Aires",
    weekly=WrittenWeek(mon=_OFFICE, tue=_OFFICE, wed=_OFFICE, thu=_OFFICE, fri=_OFFICE),
)
_SYLLABLES = ("ba", "cor", "de", "fi", "gue", "lo", "mar", "ni", "pa", "que", "ras", "sol", "tu", "ven", "xa", "zo")


@dataclass
class Filled:
    """What there is to ask for."""

    tickets: int
    open: int
    ids: list[UUID]
    long: UUID
    # After which ticket the last page of the queue begins.
    last_page: tuple[Any, ...]


class Story:
    """The rows of so many tickets, the same at every run."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.open = min(OPEN, count // 2)
        self.began = datetime.now(UTC) - YEARS
        self.step = YEARS / count
        chance = random.Random(1)
        self.words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))) for _ in range(3000)]

    def id(self, number: int) -> UUID:
        """A UUIDv7 of the instant at which the ticket was opened."""
        milliseconds = int(self.opened(number).timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | number)

    def opened(self, number: int) -> datetime:
        """Spread over the years."""
        return self.began + self.step * number

    def is_open(self, number: int) -> bool:
        """Every second one of the newest."""
        return number > self.count - 2 * self.open and number % 2 == 0

    def tickets(self) -> Iterator[tuple[Any, ...]]:
        """Rows of tickets.tickets."""
        chance = random.Random(2)
        rare = set(range(self.count // (RARE_TITLES * 2), self.count + 1, self.count // RARE_TITLES))
        for number in range(1, self.count + 1):
            words = [word for word, share in FREQUENT.items() if chance.random() < share]
            words += chance.choices(self.words, k=4) + ([RARE] if number in rare else [])
            chance.shuffle(words)
            title, at = " ".join(words), self.opened(number)
            target = chance.choice(TARGETS)
            level = {None: 1, "analysts": 2}.get(target, 3)
            client, product = chance.choice(CLIENTS), chance.choice(PRODUCTS)
            client = SMALL_CLIENT if number % (self.count // ITS_TICKETS) == 0 else client
            status, settled, cancelled = self.ended(number)
            yield (
                self.id(number), f"T-{number:06d}", 2, status, "incident", client, product, chance.randint(1, 4), False,
                chance.randint(1, 4), title, search_key(title), "Aparece un error y la pantalla queda en blanco. " * 4,
                "phone", at, at, "ana", "ana", at, at, level, target, chance.choice(PEOPLE), settled, settled,
                *((None, None) if settled is None else ("error-corregido", "Corregido.")), cancelled, settled,
            )  # fmt: skip

    def ended(self, number: int) -> tuple[str, datetime | None, datetime | None]:
        """Its status, and when it was resolved and closed, or cancelled."""
        at = self.opened(number) + timedelta(days=2)
        if self.is_open(number):
            return "in_progress", None, None
        return ("cancelled", None, at) if number % CANCELLED == 1 else ("closed", at, None)

    def history(self) -> Iterator[tuple[Any, ...]]:
        """Rows of tickets.history: two facts of each ticket, and of the last one very many."""
        for number in range(1, self.count + 1):
            for nth in range(LONG_HISTORY if number == self.count else 2):
                at = self.opened(number) + timedelta(minutes=nth)
                yield (
                    self.id(number), UUID(int=number << 64 | nth), "desk.ticket.responded.v1", "tickets", at, at, "ana",
                    "live", "req", CHANGES, TOLD,
                )  # fmt: skip

    def clocks(self) -> Iterator[tuple[Any, ...]]:
        """Rows of tickets.clocks: two of each ticket; those of open ones run, and one in ten is paused."""
        chance = random.Random(3)
        for number in range(1, self.count + 1):
            for nth, kind in enumerate(("response", "resolution")):
                course = "stopped" if kind == "response" or not self.is_open(number) else "running"
                if course == "running" and chance.random() < 0.1:
                    course = "paused"
                outcome = "met" if course == "stopped" else "pending"
                due = self.opened(number) + timedelta(hours=chance.randint(4, 400))
                counted = 0 if course == "running" else chance.randint(60, 90_000)
                yield (
                    UUID(int=number << 64 | 1 << 60 | nth), self.id(number), kind, 1, course, outcome, "contrato", 1,
                    100_000, counted, self.opened(number), self.opened(number), None if course == "paused" else due,
                    COUNTED_IN, 1,
                )  # fmt: skip


_COLUMNS = {
    "tickets": (
        "id", "number", "version", "status", "kind", "client_id", "product_id", "severity", "severity_to_review",
        "priority", "title", "title_key", "description", "channel", "reported_at", "opened_at", "opened_by",
        "owner", "last_fact_at", "course_at", "level", "target", "assignee", "resolved_at", "closed_at",
        "resolution_code", "resolution_text", "cancelled_at", "reopenable_until",
    ),
    "history": (
        "ticket_id", "fact_id", "type", "source", "occurred_at", "recorded_at", "actor", "origin", "correlation_id",
        "changes", "data",
    ),
    "clocks": (
        "id", "ticket_id", "kind", "cycle", "course", "outcome", "contract_id", "contract_version", "target_seconds",
        "elapsed_seconds", "started_at", "since", "due_at", "counted_in", "sequence",
    ),
}  # fmt: skip
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes JOIN pg_class c ON c.relname = indexname JOIN pg_index i
        ON i.indexrelid = c.oid
     WHERE schemaname = 'tickets' AND tablename = ANY($1::text[]) AND NOT i.indisunique ORDER BY indexname
"""


_LAST_PAGE = """
    SELECT turn, turn_by, severity, priority, id FROM tickets.open_tickets
    ORDER BY turn DESC, turn_by DESC, severity DESC, priority DESC, id DESC OFFSET 50 LIMIT 1
"""
_CLIENTS = """
    INSERT INTO tickets.clients (id, name, name_key, tier, retired, sequence)
    SELECT id, 'Cliente ' || id, 'cliente ' || replace(id, '-', ' '), 'oro', false, 1
      FROM unnest($1::text[]) id ON CONFLICT DO NOTHING
"""
_PRODUCTS = """
    INSERT INTO tickets.products (id, name, retired, sequence)
    SELECT id, 'Producto ' || id, false, 1 FROM unnest($1::text[]) id ON CONFLICT DO NOTHING
"""
_CALENDARS = """
    INSERT INTO tickets.calendars (id, calendar_id, version, name, calendar, retired, sequence)
    VALUES ('comercial-v1', 'comercial', 1, 'Comercial', $1, false, 1) ON CONFLICT DO NOTHING
"""


async def fill(owner_url: str, count: int) -> Filled:
    """Empties the tickets and fills them with so many; the queue is computed by the product's own statement."""
    connection = await asyncpg.connect(owner_url)
    try:
        story = Story(count)
        await connection.execute(_CLIENTS, [*CLIENTS, SMALL_CLIENT])
        await connection.execute(_PRODUCTS, PRODUCTS)
        await connection.execute(_CALENDARS, _COMERCIAL.model_dump_json())
        await connection.execute("TRUNCATE tickets.tickets, tickets.history, tickets.clocks, tickets.open_tickets")
        # Indexes are made faster than they grow.
        indexes = await connection.fetch(_INDEXES, _TABLES)
        for index in indexes:
            await connection.execute(f'DROP INDEX tickets."{index["indexname"]}"')
        for table in _TABLES:
            await connection.copy_records_to_table(
                table, schema_name="tickets", columns=_COLUMNS[table], records=getattr(story, table)()
            )
        await connection.execute("SET maintenance_work_mem = '256MB'")
        for index in indexes:
            await connection.execute(index["indexdef"])
        await connection.execute("SELECT setval('tickets.ticket_number', $1)", count)
    finally:
        await connection.close()
    last_page = await _compute_queue(owner_url, [story.id(n) for n in range(1, count + 1) if story.is_open(n)])
    chance = random.Random(4)
    return Filled(
        tickets=count,
        open=story.open,
        ids=[story.id(chance.randint(1, count)) for _ in range(2000)],
        long=story.id(count),
        last_page=last_page,
    )


async def _compute_queue(owner_url: str, ids: Sequence[UUID]) -> tuple[Any, ...]:
    """Also after which ticket its last page begins."""
    engine = make_engine(owner_url, application="bench", pool_size=1)
    try:
        async with begin(engine, lambda: None) as tx:
            await queue.refresh_open(tx, ids)
    finally:
        await engine.dispose()
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("VACUUM ANALYZE")
        return tuple(await connection.fetchrow(_LAST_PAGE))
    finally:
        await connection.close()
