"""Whether the topics of a service hold events that its archive does not know: the sign of a database that was restored.

Such a service would give the same positions to other events, and whoever compares sequences would pass them over. So a
relay does not send before the two agree, or an operator has moved the position past what was published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.contracts.topics import TOPICS
from shared.db.engine import direct_connection
from shared.messaging.kafka import Cluster, reading
from shared.messaging.reading import partitions_of, read_between

# How many of a partition's newest records are looked at first, and at most: an archive that lacks all of those lacks
# "at least" so many.
LOOK_BACK = 50
MOST = 10_000
# How many of the unknown events are named.
NAMED = 20
READ_WITHIN_SECONDS = 10.0

_KNOWN = """
    SELECT w.position FROM unnest($1::bigint[], $2::uuid[]) AS w(position, id)
    WHERE EXISTS (SELECT FROM runtime.archive a WHERE (a.position, a.id) = (w.position, w.id))
       OR w.position <= (SELECT coalesce(max(past), 0) FROM runtime.advanced)
"""


@dataclass(frozen=True, slots=True)
class Published:
    """One record of a service's own topic: where it lies, and which event it is."""

    topic: str
    partition: int
    offset: int
    sequence: int
    id: UUID
    type: str
    subject: str


@dataclass
class Comparison:
    """What a service's topics hold that its archive does not, newest first within a partition; nothing is well.

    `compared` are the topics that were looked through, `unreadable` says of the others why they were not. With
    `has_more` nobody looked further back than to what was found.
    """

    unknown: list[Published] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    has_more: bool = False


def owned(service: str) -> frozenset[str]:
    """The topics that a service compares: all that it alone writes, without the copies of them."""
    return frozenset(topic.name for topic in TOPICS if topic.owner == service)


async def compare(
    database_url: str,
    service: str,
    cluster: Cluster,
    topics: Collection[str] | None = None,
    *,
    within: float = READ_WITHIN_SECONDS,
) -> Comparison:
    """Looks whether the archive has what is on these topics of a service (all when left out).

    A topic that cannot be read, or gives nothing for `within` seconds, is unreadable and keeps nobody from comparing
    the others. Raises KafkaError when no broker answers.
    """
    found = Comparison()
    async with direct_connection(database_url, application=f"{service} relay comparing") as connection:
        for topic in sorted(owned(service) if topics is None else topics):
            # Markers have offsets and no records, and what was never committed is nobody's: all of it is looked at.
            async with reading(cluster, isolation="read_uncommitted") as reader:
                try:
                    await _look_back(_Look(connection, reader, f"/desk/{service}", cluster, within), topic, found)
                    found.compared.add(topic)
                except KafkaConnectionError:
                    raise
                except (KafkaError, TimeoutError) as error:
                    found.unreadable[topic] = str(error) or f"nothing came within {within:g} s"
    return found


def told(service: str, found: Comparison) -> str:
    """What is wrong, how much of it there is, and what to do."""
    unknown, at_least = found.unknown, "at least " if found.has_more else ""
    highest = max(event.sequence for event in unknown)
    named = ", ".join(f"{event.type} of {event.subject} ({event.sequence})" for event in unknown[:NAMED])
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return (
        f"{at_least}{len(unknown)} events on the topics of {service}, up to sequence {highest}, are not in its "
        f"archive: {named}{more}. Was the database restored? Whatever {service} did then is known to the others and "
        f"not to itself. `python -m {service} messaging advance` goes on behind them."
    )


def told_unreadable(unreadable: Mapping[str, str]) -> str:
    """Which topics could not be compared, and why."""
    return "; ".join(
        f"{topic} cannot be compared with the archive and is not written: {why}"
        for topic, why in sorted(unreadable.items())
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """With what one looks."""

    connection: asyncpg.Connection
    reader: AIOKafkaConsumer
    source: str
    cluster: Cluster
    within: float

    async def bounds(self, topic: str) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Where the partitions of a topic begin and end. Raises KafkaError where none is shown."""
        async with asyncio.timeout(self.within):
            partitions = await partitions_of(self.reader, [self.cluster.physical(topic)])
            if not partitions:
                raise KafkaError("it does not exist, or this service has no right to it")
            begins = await self.reader.beginning_offsets(partitions)
            return begins, await self.reader.end_offsets(partitions)


async def _look_back(look: _Look, topic: str, found: Comparison) -> None:
    """Goes back from the end of each partition as long as what it finds there is unknown."""
    begins, ends = await look.bounds(topic)
    last = {one: max(begins[one], end - MOST) for one, end in ends.items()}
    upto = {one: ends[one] for one in sorted(ends) if ends[one] > begins[one]}
    size = LOOK_BACK
    while upto:
        starts = {one: max(last[one], end - size) for one, end in upto.items()}
        read = await _read(look, starts, upto)
        known = await _known(look.connection, [event for events in read.values() for event in events])
        further: dict[TopicPartition, int] = {}
        for one, events in read.items():
            strange = [event for event in events if event.sequence not in known]
            found.unknown += reversed(strange)
            # Whoever finds nothing of its own (markers, strangers) looks further back too.
            if len(strange) == len(events) and starts[one] > begins[one]:
                if starts[one] > last[one]:
                    further[one] = starts[one]
                else:
                    found.has_more = True
        upto, size = further, size * 4


async def _read(
    look: _Look, starts: Mapping[TopicPartition, int], upto: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Published]]:
    found: dict[TopicPartition, list[Published]] = {one: [] for one in starts}
    async with asyncio.timeout(look.within) as patience:
        async for records in read_between(look.reader, starts, upto):
            patience.reschedule(asyncio.get_running_loop().time() + look.within)
            one = TopicPartition(records[0].topic, records[0].partition)
            found[one] += _ours(records, look.source, look.cluster)
    return found


def _ours(records: Sequence[ConsumerRecord[Any, Any]], source: str, cluster: Cluster) -> Iterator[Published]:
    """Those that the service itself wrote; what a stranger may have put there is no event of its archive."""
    for record in records:
        headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
        try:
            if headers["ce_source"] == source:
                yield Published(
                    topic=cluster.logical(record.topic),
                    partition=record.partition,
                    offset=record.offset,
                    sequence=int(headers["ce_sequence"]),
                    id=UUID(headers["ce_id"]),
                    type=headers["ce_type"],
                    subject=headers["ce_subject"],
                )
        except (KeyError, ValueError):
            continue


async def _known(connection: asyncpg.Connection, events: Sequence[Published]) -> set[int]:
    if not events:
        return set()
    rows = await connection.fetch(_KNOWN, [event.sequence for event in events], [event.id for event in events])
    return {row["position"] for row in rows}
