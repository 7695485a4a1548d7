"""Rebuilding projections from the owners' archives, beside the running service and without a moment of half of them.

What the owners tell again (`republish`) is written into tables of this session, then what came on the ordinary topics
meanwhile, up to exactly where the service's consumer stands. With the consumer held there for a moment, both are
compared row by row, and what differs is put right. So nobody ever sees a projection that is half full, a rebuild that
is killed has changed nothing, and one that finds no difference has proved the projection.
"""

# ruff: noqa: S608 - tables and columns are those of the service's own projections

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts.envelope import Event, InvalidMessage, Received, read, type_of
from shared.contracts.topics import topic_of
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin_on
from shared.errors import Invalid
from shared.messaging.kafka import Cluster
from shared.messaging.reactions import Function, Reactions
from shared.messaging.republish import BEGUN, ENDED, RUN, Tell, replay_topic
from shared.projection import SHADOW, Projections

AT_ONCE = 1000
STATEMENT_SECONDS = 600
TOLD_EVERY_SECONDS = 2.0

_LOCK_OFFSETS = sql("""
    SELECT topic, partition, next_offset FROM runtime.offsets WHERE topic = ANY(CAST(:topics AS text[]))
    ORDER BY topic, partition FOR UPDATE
""")
_LOCK_BLOCKED = sql("""
    SELECT FROM runtime.blocked_keys WHERE topic = ANY(CAST(:topics AS text[])) ORDER BY topic, key FOR UPDATE
""")
_OFFSETS = sql("SELECT topic, partition, next_offset FROM runtime.offsets WHERE topic = ANY(CAST(:topics AS text[]))")


@dataclass
class Difference:
    """What a rebuild found of one table: rows that were missing, that should not be there, or that said otherwise."""

    table: str
    rows: int
    missing: int
    surplus: int
    different: int

    @property
    def is_equal(self) -> bool:
        """Whether the table was what the archives say."""
        return not (self.missing or self.surplus or self.different)


@dataclass
class Runs:
    """Which runs of an owner's telling again were seen whole, by the marks in each partition."""

    partitions: int
    begun: dict[str, set[int]] = field(default_factory=dict)
    ended: dict[str, set[int]] = field(default_factory=dict)

    def see(self, mark: bytes, run: str, partition: int) -> None:
        """Takes one mark."""
        (self.begun if mark == BEGUN else self.ended).setdefault(run, set()).add(partition)

    @property
    def is_whole(self) -> bool:
        """Whether one of them was seen from its beginning to its end in every partition."""
        every = set(range(self.partitions))
        return any(self.begun.get(run) == every and self.ended[run] == every for run in self.ended)


class Rebuild:
    """One rebuild of some tables of one service."""

    def __init__(
        self,
        *,
        service: str,
        owner_url: str,
        cluster: Cluster,
        reactions: Reactions,
        projections: Projections,
        tables: Collection[str],
        tell: Tell = lambda _line: None,
    ) -> None:
        if unknown := sorted(set(tables) - set(projections.tables)):
            raise Invalid(f"{service} projects no {', '.join(unknown)}; it projects {', '.join(projections.tables)}")
        self.service = service
        self.owner_url = owner_url
        self.cluster = cluster
        self.projections = projections
        self.tables = sorted(tables) or sorted(projections.tables)
        self.tell = tell
        wanted = frozenset().union(*(projections.events_of(table) for table in self.tables))
        self.functions: Mapping[type[Event], Function] = {
            event: function for event, function in reactions.projected.items() if event in wanted
        }
        self.known: dict[str, type[Event]] = {event.type: event for event in self.functions}
        self.owners = sorted({topic_of(event).owner for event in self.functions})
        self.topics = sorted({topic_of(event).name for event in self.functions})
        self.applied = 0

    async def run(self, *, change: bool = True) -> list[Difference]:
        """Compares, and with `change` puts right. Waits until every owner has told again what it has told."""
        engine = make_engine(
            self.owner_url, application=f"desk {self.service} rebuild", pool_size=1, statement_seconds=STATEMENT_SECONDS
        )
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.cluster.bootstrap, enable_auto_commit=False, isolation_level="read_committed",
            auto_offset_reset="earliest", **self.cluster.security.options(),
        )  # fmt: skip
        try:
            await consumer.start()
            async with engine.lend() as connection:
                await self._make_tables(connection)
                live = await self._stored(connection)
                await self._take_what_is_told_again(connection, consumer)
                return await self._meet_the_consumer(connection, consumer, live, change=change)
        finally:
            await consumer.stop()
            await engine.dispose()

    async def _make_tables(self, connection: Any) -> None:
        for table in self.projections.tables:
            await connection.execute(
                f"CREATE TEMPORARY TABLE {table} (LIKE {self.projections.schema}.{table} INCLUDING ALL)"
            )

    # -- what is told again -------------------------------------------------------------------------------------

    async def _take_what_is_told_again(self, connection: Any, consumer: AIOKafkaConsumer) -> None:
        topics = {self.cluster.physical(replay_topic(owner).name): owner for owner in self.owners}
        partitions = await self._partitions(consumer, topics)
        consumer.assign(partitions)
        for one, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(one, end)
        runs = {owner: Runs(sum(topics[one.topic] == owner for one in partitions)) for owner in self.owners}
        commands = ", ".join(f"`python -m {owner} messaging republish`" for owner in self.owners)
        self.tell(f"waiting for {commands}")
        told_at = time.monotonic()
        while not all(one.is_whole for one in runs.values()):
            delivered = await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
            for one, records in delivered.items():
                for record in records:
                    if (mark := _mark_of(record)) is not None:
                        runs[topics[one.topic]].see(*mark, record.partition)
            await self._apply(connection, (record for records in delivered.values() for record in records))
            if time.monotonic() - told_at > TOLD_EVERY_SECONDS:
                told_at = time.monotonic()
                left = [owner for owner, seen in runs.items() if not seen.is_whole]
                self.tell(f"{self.applied} events applied; still to come: {', '.join(left) or 'nothing'}")

    async def _partitions(self, consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
        metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001  it has no other way to ask
        found = [
            TopicPartition(topic, number) for topic in topics for number in metadata.partitions_for_topic(topic) or ()
        ]
        if missing := sorted(set(topics) - {one.topic for one in found}):
            raise Invalid(f"topics do not exist: {', '.join(missing)}: run `python -m shared.messaging topics`")
        return found

    # -- what came meanwhile ------------------------------------------------------------------------------------

    async def _stored(self, connection: Any) -> dict[TopicPartition, int]:
        async with begin_on(connection) as tx:
            rows = await tx.fetch(_OFFSETS, {"topics": self.topics})
        return self._places(rows)

    def _places(self, rows: Sequence[Any]) -> dict[TopicPartition, int]:
        return {TopicPartition(self.cluster.physical(row.topic), row.partition): row.next_offset for row in rows}

    async def _meet_the_consumer(
        self, connection: Any, consumer: AIOKafkaConsumer, live: dict[TopicPartition, int], *, change: bool
    ) -> list[Difference]:
        """Follows the ordinary topics until it stands exactly where the service's consumer does, and compares there."""
        consumer.assign(list(live))
        for one, offset in live.items():
            consumer.seek(one, offset)
        ahead: list[ConsumerRecord[Any, Any]] = []
        while True:
            ends = await consumer.end_offsets(list(live))
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200, max_records=AT_ONCE)).values():
                    ahead += records
            read_to = {one: await consumer.position(one) for one in live}
            stored = await self._stored(connection)
            due = [record for record in ahead if record.offset < stored[_place(record)]]
            ahead = [record for record in ahead if record.offset >= stored[_place(record)]]
            await self._apply(connection, due)
            found = await self._compare(connection, ahead, read_to, change=change)
            if found is not None:
                return found

    async def _compare(
        self,
        connection: Any,
        ahead: Sequence[ConsumerRecord[Any, Any]],
        read_to: Mapping[TopicPartition, int],
        *,
        change: bool,
    ) -> list[Difference] | None:
        """Holds the consumer where it stands; None when it is already further than what was read."""
        async with begin_on(connection) as tx:
            stored = self._places(await tx.fetch(_LOCK_OFFSETS, {"topics": self.topics}))
            if any(stored[one] > read_to[one] for one in stored):
                return None
            await self._write(tx, [record for record in ahead if record.offset < stored[_place(record)]])
            await tx.flush()
            return await self.compare(tx, change=change)

    async def compare(self, tx: Transaction, *, change: bool) -> list[Difference]:
        """Compares what was told again with the tables and, with `change`, puts them right."""
        if not change:
            return [await self._put_right(tx, table, change=False) for table in self.tables]
        # What is parked is told again too, and whoever retries it writes the same rows: it goes on after this.
        await tx.execute(_LOCK_BLOCKED, {"topics": self.topics})
        async with self.projections.putting_right(tx, self.tables):
            return [await self._put_right(tx, table, change=True) for table in self.tables]

    async def _put_right(self, tx: Transaction, table: str, *, change: bool) -> Difference:
        there, here = f"{SHADOW}.{table}", f"{self.projections.schema}.{table}"
        key = self.projections.tables[table].key
        same = " AND ".join(f"s.{name} = t.{name}" for name in key)
        equal = f"{same} AND ROW(s.*) IS NOT DISTINCT FROM ROW(t.*)"
        counted = await tx.fetch_one(
            sql(f"""
            SELECT (SELECT count(*) FROM {there}) AS rows,
                   (SELECT count(*) FROM {there} s WHERE NOT EXISTS (SELECT FROM {here} t WHERE {same})) AS missing,
                   (SELECT count(*) FROM {here} t WHERE NOT EXISTS (SELECT FROM {there} s WHERE {same})) AS surplus,
                   (SELECT count(*) FROM {there} s JOIN {here} t ON {same}
                     WHERE ROW(s.*) IS DISTINCT FROM ROW(t.*)) AS different
        """)
        )
        found = Difference(table, counted.rows, counted.missing, counted.surplus, counted.different)
        if change and not found.is_equal:
            await tx.execute(sql(f"DELETE FROM {here} t WHERE NOT EXISTS (SELECT FROM {there} s WHERE {equal})"))
            await tx.execute(
                sql(f"""
                INSERT INTO {here} SELECT s.* FROM {there} s WHERE NOT EXISTS (SELECT FROM {here} t WHERE {same})
            """)
            )
        return found

    # -- applying -----------------------------------------------------------------------------------------------

    async def _apply(self, connection: Any, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        async with begin_on(connection) as tx:
            await self._write(tx, records)

    async def _write(self, tx: Transaction, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        by_function: dict[Function, list[Received[Any]]] = {}
        for event in map(self._read, records):
            if event is not None:
                by_function.setdefault(self.functions[type(event.data)], []).append(event)
        for function, events in by_function.items():
            for start in range(0, len(events), AT_ONCE):
                await function(tx, events[start : start + AT_ONCE])
            self.applied += len(events)

    def _read(self, record: ConsumerRecord[Any, Any]) -> Received[Any] | None:
        """The event of a record, told again; None for what does not belong to these tables."""
        headers = tuple(record.headers)
        stated = type_of(headers, record.value)
        if stated not in self.known:
            return None
        try:
            event = read(headers, record.key, record.value, self.known)
        except InvalidMessage:
            return None
        return replace(event, replayed=True) if event.source == f"/desk/{topic_of(type(event.data)).owner}" else None


def _place(record: ConsumerRecord[Any, Any]) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _mark_of(record: ConsumerRecord[Any, Any]) -> tuple[bytes, str] | None:
    headers = dict(record.headers)
    mark = headers.get("ce_type")
    return (mark, headers[RUN].decode()) if mark in (BEGUN, ENDED) else None
