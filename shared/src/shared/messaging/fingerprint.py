"""Whether a log is the one that was read: by where it begins and ends, and by when its broker appended its records.

A log that was made anew, or cut by an unclean election and written on, may be longer than what was read of the old one.
But its records below that place are then younger than everything that was read: decision 0008.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.messaging.kafka import Cluster, reading
from shared.messaging.reading import read_between
from shared.messaging.records import Partition
from shared.messaging.refusals import Refusal

# The time of a record is its broker's (LogAppendTime), not its producer's.
APPENDED = 1
READ_WITHIN_SECONDS = 30.0


class LogBegunAnew(Exception):
    """Records came that lie before what was already applied: the log was cut or made anew beneath this consumer."""

    def __init__(self, place: Partition, offset: int, reached: int, generation: int) -> None:
        super().__init__(f"{place[0]}/{place[1]} delivers offset {offset} after {reached}")
        self.refusal = Refusal(
            *place, reached, generation, "the log began again beneath a running consumer", f"it delivered {offset}"
        )


@dataclass(frozen=True)
class Stood:
    """Where the database stands in a partition: the next offset, and the youngest time (ms) of what was read below
    `dated_below`."""

    next_offset: int
    newest_at: int | None
    dated_below: int
    generation: int


@dataclass(frozen=True)
class Younger:
    """A record that is younger than everything that was read there."""

    offset: int
    appended_at: int


@dataclass(frozen=True)
class Log:
    """The first offset that a partition still has, the one after its last, and what cannot have been read of it."""

    begin: int
    end: int
    younger: Younger | None = None


async def look(kafka: AIOKafkaConsumer, cluster: Cluster, stood: Mapping[Partition, Stood]) -> dict[Partition, Log]:
    """What the brokers show of these partitions. Raises KafkaError, and TimeoutError when a log cannot be read."""
    places = {TopicPartition(cluster.physical(topic), number): (topic, number) for topic, number in sorted(stood)}
    ends = await kafka.end_offsets(list(places))
    begins = await kafka.beginning_offsets(list(places))
    found = await younger(kafka, cluster, stood)
    return {place: Log(begins[one], ends[one], found.get(place)) for one, place in places.items()}


async def younger(
    kafka: AIOKafkaConsumer, cluster: Cluster, stood: Mapping[Partition, Stood]
) -> dict[Partition, Younger]:
    """What cannot have been read, of the partitions that hold such a record. Raises as `look` does."""
    known = {
        TopicPartition(cluster.physical(topic), number): at
        for (topic, number), at in sorted(stood.items())
        if at.newest_at is not None and at.dated_below > 0
    }
    if not known:
        return {}
    # For each the earliest offset that is at least as young. In the log that was read only the youngest itself can lie
    # below what was read.
    found = await kafka.offsets_for_times({one: at.newest_at for one, at in known.items()})
    suspects = {
        one: first.offset
        for one, first in found.items()
        if first is not None and first.offset < known[one].dated_below and first.timestamp > known[one].newest_at
    }
    read = await _read(cluster, suspects, known) if suspects else {}
    return {(cluster.logical(one.topic), one.partition): record for one, record in read.items()}


def made_anew(place: Partition, at: Stood, record: Younger) -> Refusal:
    """What is refused of a partition that holds a record which cannot have been read."""
    return Refusal(
        *place, at.next_offset, at.generation, "the log was made anew or cut",
        f"its offset {record.offset} was appended at {_instant(record.appended_at)}, after everything that was read "
        f"({_instant(at.newest_at or 0)})",
    )  # fmt: skip


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


async def _read(
    cluster: Cluster, suspects: Mapping[TopicPartition, int], stood: Mapping[TopicPartition, Stood]
) -> dict[TopicPartition, Younger]:
    """The suspects that hold such a record indeed. The end of a transaction has a time too and is none, nor is what a
    producer dated itself: only a record that a consumer would see counts."""
    found: dict[TopicPartition, Younger] = {}
    async with asyncio.timeout(READ_WITHIN_SECONDS), reading(cluster) as reader:
        for one, offset in suspects.items():
            newest = stood[one].newest_at or 0
            async with aclosing(read_between(reader, {one: offset}, {one: stood[one].dated_below})) as stretch:
                async for records in stretch:
                    late = [each for each in records if each.timestamp_type == APPENDED and each.timestamp > newest]
                    if late:
                        found[one] = Younger(late[0].offset, late[0].timestamp)
                        break
    return found
