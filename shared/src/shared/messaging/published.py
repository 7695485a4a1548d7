"""Whether the topics of a service hold events that its archive does not know: the sign of a database that was restored.

Such a service would give the same positions to other events, and whoever compares sequences would pass them over. So a
relay does not send before the two agree, or an operator has moved the position past what was published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts.topics import TOPICS
from shared.db.engine import direct_connection
from shared.messaging.kafka import Cluster, admin

# How many of a partition's newest records are looked at at once, and at most: an archive that lacks more than that many
# lacks "at least" so many.
LOOK_BACK = 50
MOST = 10_000
# How many of the unknown events are named.
NAMED = 20

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


async def unknown_events(database_url: str, service: str, cluster: Cluster) -> list[Published]:
    """The events on the service's topics that its archive does not have, newest first within a partition.

    None is well; at most about MOST a partition. Raises KafkaError when the cluster does not answer.
    """
    owned = [cluster.physical(topic.name) for topic in TOPICS if topic.owner == service]
    async with admin(cluster) as client:
        partitions = await _partitions(client, owned)
    if not partitions:
        return []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, enable_auto_commit=False, **cluster.security.options()
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        async with direct_connection(database_url, application=f"{service} relay comparing") as connection:
            return await _look_back(connection, consumer, f"/desk/{service}", cluster)
    finally:
        await consumer.stop()


def told(service: str, unknown: Sequence[Published]) -> str:
    """What is wrong, how much of it there is, and what to do."""
    highest = max(event.sequence for event in unknown)
    named = ", ".join(f"{event.type} of {event.subject} ({event.sequence})" for event in unknown[:NAMED])
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return (
        f"{len(unknown)} events on the topics of {service}, up to sequence {highest}, are not in its archive: {named}"
        f"{more}. Was the database restored? Whatever {service} did then is known to the others and not to itself. "
        f"`python -m {service} messaging advance` goes on behind them."
    )


async def _partitions(client: AIOKafkaAdminClient, topics: Sequence[str]) -> list[TopicPartition]:
    existing = set(await client.list_topics())
    described = await client.describe_topics([topic for topic in topics if topic in existing])
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


async def _look_back(
    connection: asyncpg.Connection, consumer: AIOKafkaConsumer, source: str, cluster: Cluster
) -> list[Published]:
    """Goes back from the end of each partition as long as what it finds there is unknown."""
    partitions = sorted(consumer.assignment())
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    unknown: list[Published] = []
    upto = {one: ends[one] for one in partitions if ends[one] > begins[one]}
    size = LOOK_BACK
    while upto:
        starts = {one: max(begins[one], end - size) for one, end in upto.items()}
        read = await _read(consumer, starts, upto, source, cluster)
        known = await _known(connection, [event for events in read.values() for event in events])
        further: dict[TopicPartition, int] = {}
        for one, events in read.items():
            strange = [event for event in events if event.sequence not in known]
            unknown += reversed(strange)
            # Whoever finds nothing of its own (markers, strangers) looks further back too.
            if len(strange) == len(events) and starts[one] > begins[one] and ends[one] - starts[one] < MOST:
                further[one] = starts[one]
        upto, size = further, size * 4
    return unknown


async def _read(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    upto: Mapping[TopicPartition, int],
    source: str,
    cluster: Cluster,
) -> dict[TopicPartition, list[Published]]:
    consumer.pause(*consumer.assignment())
    for one, start in starts.items():
        consumer.seek(one, start)
    consumer.resume(*starts)
    found: dict[TopicPartition, list[Published]] = {one: [] for one in starts}
    open_ones = set(starts)
    while open_ones:
        for one, records in (await consumer.getmany(*open_ones, timeout_ms=200)).items():
            within = [record for record in records if record.offset < upto[one]]
            found[one] += _ours(within, source, cluster)
        # A partition may end in markers of transactions, which are never delivered; the position passes them.
        open_ones = {one for one in open_ones if await consumer.position(one) < upto[one]}
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
