"""How many bytes an event is: what one round of the demonstration and some openings leave in each topic."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from aiokafka import AIOKafkaConsumer

from runner.demo.desk import Desk
from runner.demo.story import Trail, play
from shared.contracts.topics import ALL_TOPICS
from shared.messaging.kafka import Cluster
from tests.load.figures import Table
from tests.load.scene import Options, Scene

DEMONSTRATIONS = 3
ARRIVALS, ARRIVAL_SECONDS = 20.0, 5.0
WHOLE = "(all)"

# Topic and type → the bytes of each record's value, and of its key with its headers.
Sizes = Mapping[tuple[str, str], Sequence[tuple[int, int]]]


def measure_sizes(scene: Scene, options: Options) -> list[Table]:
    """Bytes of each record: by topic, and by type, which no mix of types changes."""
    scene.run_everything()
    asyncio.run(_demonstrate(scene))
    scene.arrive(rate=ARRIVALS, seconds=ARRIVAL_SECONDS)
    scene.settle()
    sizes = asyncio.run(_read(Cluster(scene.servers.kafka_bootstrap, scene.system.prefix)))
    table = Table(
        f"sizes: bytes of a record's value after {DEMONSTRATIONS} demonstrations and {ARRIVALS * ARRIVAL_SECONDS:.0f} "
        "openings",
        ("topic", "type", "records", "mean", "p99", "longest", "key and headers"),
        notes=[
            "value: the event's JSON as it was sent, before any compression; key and headers: their mean beside it",
            "to compare two releases, compare the types: a topic's mean depends on how often each type is told",
        ],
    )
    table.rows += rows_of(sizes)
    return [table]


def rows_of(sizes: Sizes) -> list[tuple[str, str, int, float, int, int, float]]:
    """A row for each topic, and below it one for each of its types."""
    rows = []
    for topic in sorted({topic for topic, _ in sizes}):
        types = {type_: found for (of, type_), found in sorted(sizes.items()) if of == topic}
        for type_, found in {WHOLE: [one for each in types.values() for one in each], **types}.items():
            values, beside = [value for value, _ in found], [rest for _, rest in found]
            longest = max(values)
            rows.append((topic, type_, len(found), _mean(values), nearest_rank(values, 99), longest, _mean(beside)))
    return rows


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """The smallest of the values that `percent` of them do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


async def _demonstrate(scene: Scene) -> None:
    async with Desk(scene.system.urls(), scene.system.token) as desk:
        for _ in range(DEMONSTRATIONS):
            await play(desk, Trail())


async def _read(cluster: Cluster) -> Sizes:
    """Every record that the topics hold. A record without a value (something was deleted) is of no type."""
    topics = [cluster.physical(topic.name) for topic in ALL_TOPICS]
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest")
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    size = len(record.value or b""), len(record.key or b"") + _bytes(record.headers)
                    found[cluster.logical(partition.topic), _type_of(record.headers)].append(size)
    finally:
        await consumer.stop()
    return found


def _bytes(headers: Iterable[tuple[str, bytes]]) -> int:
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


def _type_of(headers: Iterable[tuple[str, bytes]]) -> str:
    return dict(headers).get("ce_type", b"").decode().removeprefix("desk.")
