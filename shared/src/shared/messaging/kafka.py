"""Questions to the cluster that are not about single messages: which topics, which cluster, where logs end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True)
class Cluster:
    """Where Kafka is, and the prefix that keeps installations apart that share a cluster (empty in production)."""

    bootstrap: str
    prefix: str = ""

    def physical(self, topic: str) -> str:
        """The name of a topic as the broker knows it."""
        return f"{self.prefix}{topic}"

    def logical(self, topic: str) -> str:
        """The name of a topic as the registry knows it."""
        return topic.removeprefix(self.prefix)


@asynccontextmanager
async def admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrative client, closed at the end whatever happens."""
    client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap, request_timeout_ms=10_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def cluster_id(cluster: Cluster) -> str:
    """The id that the cluster was formatted with. Raises KafkaError when it does not answer."""
    async with admin(cluster) as client:
        described = await client.describe_cluster()
    return str(described["cluster_id"])


async def missing_topics(cluster: Cluster, topics: Iterable[str]) -> list[str]:
    """Which of these topics (registry names) the cluster does not have. Raises KafkaError when it does not answer."""
    async with admin(cluster) as client:
        existing = set(await client.list_topics())
    return sorted(topic for topic in topics if cluster.physical(topic) not in existing)


async def end_offsets(cluster: Cluster, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Where each partition of these topics (registry names) ends. Raises KafkaError when no broker answers."""
    async with admin(cluster) as client:
        described = await client.describe_topics([cluster.physical(topic) for topic in topics])
    partitions = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        ends = await consumer.end_offsets(partitions) if partitions else {}
    finally:
        await consumer.stop()
    return {(cluster.logical(one.topic), one.partition): offset for one, offset in ends.items()}
