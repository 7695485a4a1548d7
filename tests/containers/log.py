"""Run inside the closed network as the operator: prints key and id of every event in the log, by topic, as JSON."""

from __future__ import annotations

import asyncio
import json

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.topics import TOPICS
from shared.messaging.kafka import Cluster, end_offsets
from shared.settings import KafkaSettings


async def main() -> dict[str, list[tuple[str, str]]]:
    """Topic → key and id of each record, those that stand there twice too; of each key the oldest first."""
    cluster = Cluster.of(KafkaSettings())
    ends = await end_offsets(cluster, [topic.name for topic in TOPICS])
    client = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, enable_auto_commit=False, **cluster.security.options()
    )
    waiting = {TopicPartition(topic, number): end for (topic, number), end in ends.items() if end}
    client.assign(list(waiting))
    await client.start()
    found: dict[str, list[tuple[str, str]]] = {topic.name: [] for topic in TOPICS}
    try:
        await client.seek_to_beginning()
        while any([await client.position(partition) < end for partition, end in waiting.items()]):
            for partition, records in (await client.getmany(timeout_ms=1000)).items():
                found[partition.topic] += [
                    (record.key.decode(), dict(record.headers)["ce_id"].decode()) for record in records
                ]
    finally:
        await client.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
