"""One part of the messaging runtime, or the same work without it, timed inside a process of its own.

`python -m tests.load.parts relay|producer|consumer|loop|bare-loop` prints how many rows it moved and how long it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.contracts.envelope import Cause, headers_of, read
from shared.contracts.tickets import TicketOpened
from shared.contracts.topics import TICKETS
from shared.db.engine import make_engine
from shared.messaging.batch import BatchApplier
from shared.messaging.consumer import MAX_BATCH, Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.records import Record
from shared.messaging.relay import Relay
from shared.telemetry import logs
from tests.shared.messaging import story
from tests.support.databases import CHECKOUT, Database

_ARCHIVED = "SELECT * FROM runtime.archive WHERE topic = $1 ORDER BY position"
_EFFECTS = """
    INSERT INTO public.effects (event_id, type, key, number, sequence)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::bigint[])
"""

# Event id, type, key, number of the ticket, sequence: one row of the effects.
Effect = tuple[UUID, str, str, int, int]


class Stopwatch:
    """Counts rows until all have passed. Runs from the first `start` to the last row; CPU of this process likewise."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.passed = 0
        self.done = asyncio.Event()
        self._begun: tuple[float, float] | None = None
        self._ended = (0.0, 0.0)

    def start(self) -> None:
        """Begins at the first call; later ones change nothing."""
        self._begun = self._begun or (time.perf_counter(), time.process_time())

    def pass_rows(self, count: int) -> None:
        """So many more are through."""
        self.passed += count
        if self.passed >= self.rows:
            self._ended = (time.perf_counter(), time.process_time())
            self.done.set()

    def result(self) -> Moved:
        """What was measured."""
        begun = self._begun or self._ended
        return Moved(self.passed, self._ended[0] - begun[0], self._ended[1] - begun[1])


@dataclass
class Moved:
    """Rows, and the seconds of wall and of this process's CPU that they took."""

    rows: int
    seconds: float
    cpu_seconds: float


class _TimedRelay(Relay):
    """The product's relay; ends when the backlog is through."""

    watch: Stopwatch

    async def _learn_topics(self, connection: asyncpg.Connection) -> None:
        # Before it reads its first rows: those that it only takes out of its way cost time too.
        self.watch.start()
        await super()._learn_topics(connection)

    async def _send_all(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        await super()._send_all(connection, rows)
        self.watch.pass_rows(len(rows))
        if self.watch.done.is_set():
            self.stop()


class _TimedApplier(BatchApplier):
    """The product's applier."""

    watch: Stopwatch

    async def apply(self, records: Sequence[Record]) -> None:
        self.watch.start()
        await super().apply(records)
        self.watch.pass_rows(len(records))


async def relay(url: str, cluster: Cluster, watch: Stopwatch) -> None:
    """Drains the outbox, from the first batch that was read to the deletion of the last."""
    part = _TimedRelay(service="tickets", database_url=url, cluster=cluster)
    part.watch = watch
    await part.run()


async def producer(url: str, cluster: Cluster, watch: Stopwatch) -> None:
    """Sends the same records, read and with their headers made beforehand; waits for every acknowledgement."""
    connection = await asyncpg.connect(url)
    records = [_record(row) for row in await connection.fetch(_ARCHIVED, TICKETS.name)]
    await connection.close()
    client = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True, linger_ms=0)
    topic = cluster.physical(TICKETS.name)
    watch.start()
    await client.start()
    try:
        sent = [await client.send(topic, key=key, value=value, headers=headers) for key, value, headers in records]
        await asyncio.gather(*sent)
        watch.pass_rows(len(sent))
    finally:
        await client.stop()


def _record(row: asyncpg.Record) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    names = ("actor", "occurred_at", "recorded_at", "origin", "correlation_id", "causation_id", "traceparent")
    headers = headers_of(
        id=row["id"], source=TICKETS.source, type=row["type"], subject=row["subject"], sequence=row["position"],
        cause=Cause(**{name: row[name] for name in names}),
    )  # fmt: skip
    return row["key"].encode(), row["value"], headers


async def consumer(url: str, cluster: Cluster, watch: Stopwatch) -> None:
    """Applies every event exactly once, one row each, from the first batch to the commit of the last."""
    engine, react = make_engine(url, application="bench"), story.reactions(many=True)
    applier = _TimedApplier(engine, react, lambda: None)
    applier.watch = watch
    part = Consumer(
        service="test", engine=engine, cluster=cluster, reactions=react, hint=lambda: None, session_timeout_ms=1000,
        applier=applier,
    )  # fmt: skip
    running = asyncio.create_task(part.run())
    await asyncio.wait({running, asyncio.create_task(watch.done.wait())}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await engine.dispose()


async def loop(url: str, cluster: Cluster, watch: Stopwatch) -> None:
    """aiokafka and asyncpg by hand, reading each event with the published language's own reader."""
    known = {TicketOpened.type: TicketOpened}

    def parse(record: Any) -> Effect:
        event = read(record.headers, record.key, record.value, known)
        return event.id, event.type, event.key, int(event.data.ticket.number.removeprefix("T-")), event.sequence

    await _consume_by_hand(url, cluster, watch, parse)


async def bare_loop(url: str, cluster: Cluster, watch: Stopwatch) -> None:
    """aiokafka and asyncpg by hand, parsing the data into their class and taking two headers as they come."""

    def parse(record: Any) -> Effect:
        headers = dict(record.headers)
        number = int(TicketOpened.model_validate_json(record.value).ticket.number.removeprefix("T-"))
        id_, sequence = UUID(headers["ce_id"].decode()), int(headers["ce_sequence"])
        return id_, TicketOpened.type, record.key.decode(), number, sequence

    await _consume_by_hand(url, cluster, watch, parse)


async def _consume_by_hand(url: str, cluster: Cluster, watch: Stopwatch, parse: Callable[[Any], Effect]) -> None:
    connection = await asyncpg.connect(url)
    client = AIOKafkaConsumer(
        cluster.physical(TICKETS.name), bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest",
        enable_auto_commit=False,
    )  # fmt: skip
    await client.start()
    try:
        while not watch.done.is_set():
            delivered = await client.getmany(timeout_ms=1000, max_records=MAX_BATCH)
            records = [record for some in delivered.values() for record in some]
            if records:
                watch.start()
                columns = zip(*[parse(record) for record in records], strict=True)
                await connection.execute(_EFFECTS, *[list(column) for column in columns])
                watch.pass_rows(len(records))
    finally:
        await client.stop()
        await connection.close()


PARTS = {"relay": relay, "producer": producer, "consumer": consumer, "loop": loop, "bare-loop": bare_loop}


async def run_apart(kind: str, db: Database, cluster: Cluster, rows: int) -> Moved:
    """Runs one of these in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.parts", kind, str(rows),
        env={
            **os.environ,
            "DESK_DATABASE_URL": db.url,
            "DESK_KAFKA_BOOTSTRAP": cluster.bootstrap,
            "DESK_TOPIC_PREFIX": cluster.prefix,
        },
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{kind} failed:\n{errors.decode()[-3000:]}")
    return Moved(**json.loads(output.splitlines()[-1]))


async def _main(environment: Mapping[str, str]) -> Moved:
    cluster = Cluster(environment["DESK_KAFKA_BOOTSTRAP"], environment["DESK_TOPIC_PREFIX"])
    watch = Stopwatch(int(sys.argv[2]))
    async with asyncio.timeout(300):
        await PARTS[sys.argv[1]](environment["DESK_DATABASE_URL"], cluster, watch)
    return watch.result()


if __name__ == "__main__":
    logs.configure("bench", sys.argv[1], "warning")
    print(json.dumps(asdict(uvloop.run(_main(os.environ)))))
