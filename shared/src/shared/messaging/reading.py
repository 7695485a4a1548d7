"""Reading a stretch of some logs, beside any group: for whoever compares, looks back, or rebuilds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

AT_ONCE = 1000


async def partitions_of(reader: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """The partitions of these topics (the broker's names) that are shown; none of a topic that is not."""
    metadata = await reader._client.fetch_all_metadata()  # noqa: SLF001  it has no other way to ask
    return [TopicPartition(topic, number) for topic in topics for number in metadata.partitions_for_topic(topic) or ()]


async def read_between(
    reader: AIOKafkaConsumer, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[Sequence[ConsumerRecord[Any, Any]], None]:
    """The records from `begins` to before `ends`, those of one partition at a time and in its order.

    Raises KafkaError for a partition that cannot be read. An end that lies behind the log's own is waited for.
    """
    left = {one for one, end in ends.items() if begins[one] < end}
    if not left:
        return
    reader.assign(sorted(left))
    for one in left:
        reader.seek(one, begins[one])
    while left:
        for one, records in (await reader.getmany(*left, timeout_ms=200, max_records=AT_ONCE)).items():
            if within := [record for record in records if record.offset < ends[one]]:
                yield within
        # A partition may end in markers of transactions, which are never delivered; the position passes them.
        left = {one for one in left if await reader.position(one) < ends[one]}
