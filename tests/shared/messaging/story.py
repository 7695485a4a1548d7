"""What the runtime's tests tell: tickets that open, are escalated and resolved, and a service that counts effects."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.contracts.envelope import Cause, Event, Origin, Received, headers_of
from shared.contracts.inventory import ClientRecorded
from shared.contracts.tickets import TicketAssigned, TicketEscalated, TicketOpened
from shared.contracts.topics import topic_of
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.outbox import publish, seal
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.rebuild import Difference, Rebuild
from shared.messaging.relay import Relay
from shared.projection import Projection, Projections, Row
from tests.support.briefs import JUDGED, ticket_brief
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually

AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
EFFECTS = """
    CREATE TABLE public.effects (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid NOT NULL, type text NOT NULL,
        key text NOT NULL, number int NOT NULL, sequence bigint NOT NULL);
    CREATE TABLE public.clients (id text PRIMARY KEY, name text NOT NULL, sequence bigint NOT NULL);
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.effects, public.clients TO test_serving;
"""


def cause(**changes: Any) -> Cause:
    """Somebody does something at a fixed instant."""
    given = {"actor": "lucia.gomez", "occurred_at": AT, "recorded_at": AT, "correlation_id": "call-1", **changes}
    return Cause(**given)


def ticket(number: int) -> uuid.UUID:
    """The id of the n-th ticket of a story."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"ticket {number}")


def opened(number: int, *, of: int | None = None, description: str = "") -> TicketOpened:
    """The n-th event of a story; `of` says which ticket (the n-th when left out)."""
    return TicketOpened(
        ticket_id=ticket(number if of is None else of), ticket=ticket_brief(client="acme", number=f"T-{number:06d}"),
        title=f"event {number}", description=description, **JUDGED,
    )  # fmt: skip


def assigned(number: int, *, of: int) -> TicketAssigned:
    """An event of another type in the same topic."""
    brief = ticket_brief(number=f"T-{number:06d}", version=number + 1, assignee="martin.ruiz")
    return TicketAssigned(ticket_id=ticket(of), ticket=brief, assignee="martin.ruiz")


def message(
    event: Event, sequence: int, *, id: uuid.UUID | None = None, origin: Origin = "live"
) -> tuple[str, bytes, bytes, list[Any]]:
    """An event as a raw Kafka message: topic, key, value, headers, as its owner tells it."""
    topic = topic_of(type(event))
    headers = headers_of(
        id=id or new_id(),
        source=topic.source,
        type=event.type,
        subject=event.subject(),
        sequence=sequence,
        cause=cause(origin=origin),
    )
    return topic.name, event.key().encode(), event.model_dump_json().encode(), headers


async def send(cluster: Cluster, *messages: tuple[str, bytes | None, bytes, list[Any]], **options: Any) -> None:
    """Puts raw messages on the broker, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True, **options)
    await producer.start()
    try:
        sent = [
            await producer.send(cluster.physical(topic), key=key, value=value, headers=headers)
            for topic, key, value, headers in messages
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_topic(cluster: Cluster, topic: str, expected: int, within: float = 30) -> list[Any]:
    """All records of a topic, at least `expected`, in the order of each partition."""
    consumer = AIOKafkaConsumer(
        cluster.physical(topic), bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest",
        enable_auto_commit=False, isolation_level="read_committed",
    )  # fmt: skip
    await consumer.start()
    records: list[Any] = []
    try:
        async with asyncio.timeout(within):
            while len(records) < expected:
                for some in (await consumer.getmany(timeout_ms=500)).values():
                    records += some
        # What comes doubled comes right behind.
        for some in (await consumer.getmany(timeout_ms=300)).values():
            records += some
    finally:
        await consumer.stop()
    return records


async def publish_all(db: Database, events: Sequence[Event], *, at_once: int = 100) -> None:
    """Commits the events through the outbox, so many to a transaction."""
    for start in range(0, len(events), at_once):
        async with db.begin() as tx:
            await publish(tx, seal(cause(), *events[start : start + at_once]))


def story_of(tickets: int, events: int, start: int = 0) -> list[TicketOpened]:
    """So many events of so many tickets in turn."""
    return [opened(number, of=number % tickets) for number in range(start, start + events)]


def first_deliveries(records: Sequence[Any]) -> list[tuple[str, int]]:
    """(key, sequence) of each event where it first appears, in the order of the log."""
    seen: dict[bytes, tuple[str, int]] = {}
    for record in records:
        headers = dict(record.headers)
        seen.setdefault(headers["ce_id"], (record.key.decode(), int(headers["ce_sequence"])))
    return list(seen.values())


def require_order(deliveries: Sequence[tuple[str, int]]) -> None:
    """Sequences of one key only grow."""
    last: dict[str, int] = {}
    for key, sequence in deliveries:
        assert sequence > last.get(key, -1), f"key {key}: {sequence} after {last[key]}"
        last[key] = sequence


async def unsent(db: Database) -> int:
    """How many rows wait to be sent, withheld or not."""
    return await db.count("SELECT (SELECT count(*) FROM runtime.outbox) + (SELECT count(*) FROM runtime.withheld)")


async def has_unsent(db: Database, count: int) -> bool:
    """Whether so many rows wait."""
    return await unsent(db) == count


async def outbox_empty(db: Database) -> bool:
    """Whether everything was sent."""
    return await has_unsent(db, 0)


async def refusal(relay: Relay) -> str:
    """Why a relay does not send; empty while it does."""
    return relay.refused or ""


async def count_effect(tx: Transaction, event: Received[Any]) -> None:
    """The effect of every reaction in these tests: one row."""
    await count_effects(tx, [event])


async def count_effects(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """The same for a run of events, in one statement."""
    await tx.execute(
        sql("""
            INSERT INTO public.effects (event_id, type, key, number, sequence)
            SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:keys AS text[]),
                                 CAST(:numbers AS int[]), CAST(:sequences AS bigint[]))
        """),
        {
            "ids": [event.id for event in events],
            "types": [event.type for event in events],
            "keys": [event.key for event in events],
            "numbers": [int(event.data.ticket.number.removeprefix("T-")) for event in events],
            "sequences": [event.sequence for event in events],
        },
    )


async def keep_client(tx: Transaction, event: Received[ClientRecorded]) -> None:
    """A replica: the row with the highest sequence stays."""
    await tx.execute(
        sql("""
            INSERT INTO public.clients (id, name, sequence) VALUES (:id, :name, :sequence)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, sequence = excluded.sequence
            WHERE clients.sequence < excluded.sequence
        """),
        {"id": event.data.id, "name": event.data.name, "sequence": event.sequence},
    )


def _kept(event: Received[ClientRecorded]) -> Row:
    return {"id": event.data.id, "name": event.data.name, "sequence": event.sequence}


KEPT = Projections("public", {ClientRecorded: (Projection("clients", ("id",), {"sequence": ("name",)}), _kept)})


async def keep_clients(tx: Transaction, events: Sequence[Received[ClientRecorded]]) -> None:
    """The same replica as a projection, which a rebuild can do again."""
    await KEPT.write(tx, KEPT.rows_of(events), replayed=events[0].replayed)


def projecting() -> Reactions:
    """A service that projects the clients and nothing else."""
    return Reactions([Reaction(ClientRecorded, keep_clients, True, keep_clients)])


def clients(count: int, *, start: int = 0, name: str = "client") -> list[ClientRecorded]:
    """So many records of different clients."""
    return [
        ClientRecorded(id=f"c-{number}", name=f"{name} {number}", tier="oro") for number in range(start, start + count)
    ]


class Rebuilding:
    """A rebuild of the clients that runs beside a test; `lines` is what it said."""

    def __init__(self, db: Database, cluster: Cluster, *, change: bool = True) -> None:
        self.lines: list[str] = []
        self.work = Rebuild(
            service="test", owner_url=db.owner_url, cluster=cluster, reactions=projecting(), projections=KEPT,
            tables=[], tell=self.lines.append,
        )  # fmt: skip
        self.task = asyncio.create_task(self.work.run(change=change))

    async def hear(self, words: str) -> str:
        """The line that has these words, once it was said; what ends the rebuild before is raised."""

        async def heard() -> str:
            if self.task.done() and (error := self.task.exception()) is not None:
                raise error
            return next((line for line in self.lines if words in line), "")

        return await eventually(heard, what=words)

    async def found(self) -> Difference:
        """What it found of the clients."""
        (difference,) = await asyncio.wait_for(self.task, 30)
        return difference


@contextlib.asynccontextmanager
async def rebuilding(db: Database, cluster: Cluster, *, change: bool = True) -> AsyncIterator[Rebuilding]:
    """A rebuild that waits for what is told again; one that has not ended is cancelled."""
    one = Rebuilding(db, cluster, change=change)
    try:
        await one.hear("waiting for")
        yield one
    finally:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)


React = Callable[[Transaction, Any], Awaitable[None]]


def reactions(
    on_opened: React = count_effect, on_assigned: React = count_effect, *, many: bool = False, replicas: bool = False
) -> Reactions:
    """A service that reacts to tickets, and keeps a replica of the clients when asked."""
    if many and on_opened is count_effect:
        on_opened = count_effects
    known = [
        Reaction(TicketOpened, on_opened, many),
        Reaction(TicketAssigned, on_assigned, False),
        Reaction(TicketEscalated, count_effect, False),
    ]
    return Reactions([*known, Reaction(ClientRecorded, keep_client, False)] if replicas else known)


async def prepare_effects(db: Database) -> None:
    """The table that effects are counted in."""
    async with db.connect(OWNER) as connection:
        await connection.execute(EFFECTS)


async def effects(db: Database) -> list[Any]:
    """All effects in the order in which they happened."""
    async with db.connect() as connection:
        return list(await connection.fetch("SELECT * FROM public.effects ORDER BY position"))


def require_order_per_key(rows: Sequence[Any]) -> None:
    """Numbers of one key only grow, and none stands twice."""
    last: dict[str, int] = {}
    for row in rows:
        assert row["number"] > last.get(row["key"], -1), f"key {row['key']}: {row['number']} after {last[row['key']]}"
        last[row["key"]] = row["number"]


def consumer_of(db: Database, cluster: Cluster, react: Reactions | None = None, **options: Any) -> Consumer:
    """A consumer with the short session that tests need."""
    options.setdefault("session_timeout_ms", 1000)
    return Consumer(
        service="test", engine=db.engine, cluster=cluster, reactions=react or reactions(), hint=lambda: None, **options
    )


def relay_of(db: Database, cluster: Cluster, *, service: str = "test", **options: Any) -> Relay:
    """A relay on this database, in nobody's name or an owner's; an outage longer than three seconds is longer than its
    request timeout."""
    options.setdefault("request_timeout_seconds", 3)
    return Relay(service=service, database_url=db.url, cluster=cluster, **options)


@contextlib.asynccontextmanager
async def running(*parts: Consumer | Relay) -> AsyncIterator[None]:
    """The parts run inside, and are cancelled at the end, as a dying process would be."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
