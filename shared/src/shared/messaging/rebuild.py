"""Rebuilding projections from the owners' archives, beside the running service and without a moment of half of them.

What the owners tell again (`republish`) is written into tables of this session, then what came on the ordinary topics
meanwhile, up to exactly where the service's consumer stands. With the consumer held there for a moment, both are
compared row by row, and what differs is put right. So nobody ever sees a projection that is half full, a rebuild that
is killed has changed nothing, and one that finds no difference has proved the projection.
"""

# ruff: noqa: S608 - tables and columns are those of the service's own projections

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts.envelope import Event, InvalidMessage, Received, read, type_of
from shared.contracts.topics import topic_of
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin_on
from shared.errors import Invalid
from shared.messaging import offsets
from shared.messaging.kafka import Cluster, reading
from shared.messaging.reactions import Function, Reactions
from shared.messaging.reading import AT_ONCE, partitions_of, read_between
from shared.messaging.replays import Mark, read_mark
from shared.messaging.republish import Tell, replay_topic
from shared.projection import SHADOW, Projections

STATEMENT_SECONDS = 600
TOLD_EVERY_SECONDS = 2.0
# How many of the records that cannot be read are named.
NAMED = 20

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

    owner: str
    partitions: int
    needed: frozenset[str]
    begun: dict[str, set[int]] = field(default_factory=dict)
    ended: dict[str, set[int]] = field(default_factory=dict)

    def see(self, mark: Mark, partition: int) -> str | None:
        """Takes one mark. Answers what to say where it begins a run that does not tell all that is needed."""
        lacking = mark.lacks(self.needed)
        if lacking is None:
            (self.begun if mark.begins else self.ended).setdefault(mark.run, set()).add(partition)
        elif mark.begins and partition == 0:
            return (
                f"run {mark.run} of {self.owner} is not enough: {lacking}; say "
                f"`python -m {self.owner} messaging republish` without that"
            )
        return None

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
        self.unreadable: list[str] = []

    async def run(self, *, change: bool = True) -> list[Difference]:
        """Compares, and with `change` puts right. Waits until every owner has told again what it has told.

        Raises Invalid, and has changed nothing, when something that was told cannot be read.
        """
        engine = make_engine(
            self.owner_url, application=f"desk {self.service} rebuild", pool_size=1, statement_seconds=STATEMENT_SECONDS
        )
        try:
            async with reading(self.cluster) as reader, engine.lend() as connection:
                await self._make_tables(connection)
                began = await self._stored(connection)
                await self._take_what_is_told_again(connection, reader)
                reached = await self._follow(connection, reader, began)
                return await self._compare(connection, reader, reached, change=change)
        finally:
            await engine.dispose()

    async def _make_tables(self, connection: Any) -> None:
        for table in self.projections.tables:
            await connection.execute(
                f"CREATE TEMPORARY TABLE {table} (LIKE {self.projections.schema}.{table} INCLUDING ALL)"
            )

    # -- what is told again -------------------------------------------------------------------------------------

    async def _take_what_is_told_again(self, connection: Any, reader: AIOKafkaConsumer) -> None:
        topics = {self.cluster.physical(replay_topic(owner).name): owner for owner in self.owners}
        partitions = await self._partitions(reader, topics)
        reader.assign(partitions)
        for one, end in (await reader.end_offsets(partitions)).items():
            reader.seek(one, end)
        runs = {topic: self._runs(owner, topic, partitions) for topic, owner in topics.items()}
        commands = ", ".join(f"`python -m {owner} messaging republish`" for owner in self.owners)
        self.tell(f"waiting for {commands}")
        told_at = time.monotonic()
        while not all(one.is_whole for one in runs.values()):
            delivered = await reader.getmany(timeout_ms=500, max_records=AT_ONCE)
            records = [record for some in delivered.values() for record in some]
            self._see_marks(records, runs)
            await self._apply(connection, records)
            if time.monotonic() - told_at > TOLD_EVERY_SECONDS:
                told_at = time.monotonic()
                left = [seen.owner for seen in runs.values() if not seen.is_whole]
                self.tell(f"{self.applied} events applied; still to come: {', '.join(left) or 'nothing'}")

    def _runs(self, owner: str, topic: str, partitions: Sequence[TopicPartition]) -> Runs:
        needed = frozenset(event.type for event in self.functions if topic_of(event).owner == owner)
        return Runs(owner, sum(one.topic == topic for one in partitions), needed)

    def _see_marks(self, records: Sequence[ConsumerRecord[Any, Any]], runs: Mapping[str, Runs]) -> None:
        for record in records:
            mark = read_mark(record.headers, record.value)
            if mark is not None and (line := runs[record.topic].see(mark, record.partition)) is not None:
                self.tell(line)

    async def _partitions(self, reader: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
        found = await partitions_of(reader, topics)
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

    async def _follow(
        self, connection: Any, reader: AIOKafkaConsumer, reached: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """Follows the ordinary topics until close behind the service's consumer; what lies ahead of it is not read."""
        while True:
            stored = await self._stored(connection)
            if sum(max(0, offset - reached.get(one, 0)) for one, offset in stored.items()) <= AT_ONCE:
                return reached
            async for records in self._between(reader, reached, stored):
                await self._apply(connection, records)
            reached = stored

    async def _between(
        self, reader: AIOKafkaConsumer, reached: Mapping[TopicPartition, int], stored: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Sequence[ConsumerRecord[Any, Any]]]:
        """What lies between two places. Raises Invalid for a log that ends before the second."""
        for one, end in (await reader.end_offsets(list(stored))).items():
            if stored[one] > end:
                raise Invalid(
                    f"{self.cluster.logical(one.topic)}/{one.partition} ends at {end}, and {self.service} stands at "
                    f"{stored[one]}: it is not the log that was read; see `python -m {self.service} messaging lag`"
                )
        async for records in read_between(reader, {one: reached.get(one, 0) for one in stored}, stored):
            yield records

    async def _compare(
        self, connection: Any, reader: AIOKafkaConsumer, reached: Mapping[TopicPartition, int], *, change: bool
    ) -> list[Difference]:
        """Holds the consumer where it stands, takes the rest up to there, and compares."""
        places = await self._partitions(reader, [self.cluster.physical(topic) for topic in self.topics])
        async with begin_on(connection) as tx:
            names = [self.cluster.logical(one.topic) for one in places]
            await tx.execute(offsets.ENSURE, {"topics": names, "partitions": [one.partition for one in places]})
            stored = self._places(await tx.fetch(_LOCK_OFFSETS, {"topics": self.topics}))
            async for records in self._between(reader, reached, stored):
                await self._write(tx, records)
            await tx.flush()
            self._require_all_read()
            return await self.compare(tx, change=change)

    async def compare(self, tx: Transaction, *, change: bool) -> list[Difference]:
        """Compares what was told again with the tables and, with `change`, puts them right."""
        if not change:
            return [await self._put_right(tx, table, change=False) for table in self.tables]
        # What is parked is told again too, and whoever retries it writes the same rows: it goes on after this.
        await tx.execute(_LOCK_BLOCKED, {"topics": self.topics})
        async with self.projections.putting_right(tx, self.tables):
            return [await self._put_right(tx, table, change=True) for table in self.tables]

    def _require_all_read(self) -> None:
        """A row that an unreadable event made would be taken for one that should not be there."""
        if self.unreadable:
            more = f"; and {len(self.unreadable) - NAMED} more" if len(self.unreadable) > NAMED else ""
            count = "1 record" if len(self.unreadable) == 1 else f"{len(self.unreadable)} records"
            raise Invalid(
                f"{count} cannot be read, so that nothing was compared and nothing changed: "
                f"{'; '.join(self.unreadable[:NAMED])}{more}"
            )

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
        except (InvalidMessage, ArithmeticError) as error:
            # Of the calendar's ends, see `records`: a valid text that has no instant in UTC.
            why = str(error) if isinstance(error, InvalidMessage) else "an instant is outside the calendar"
            place = f"{self.cluster.logical(record.topic)}/{record.partition}, offset {record.offset}"
            self.unreadable.append(f"{place}: {why}")
            return None
        return replace(event, replayed=True) if event.source == f"/desk/{topic_of(type(event.data)).owner}" else None
