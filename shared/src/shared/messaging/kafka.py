"""Questions to the cluster that are not about single messages: which topics, which cluster, where logs end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.errors import Invalid, Unavailable
from shared.messaging.security import Security
from shared.settings import KafkaSettings
from shared.telemetry.redaction import redact_text

Isolation = Literal["read_committed", "read_uncommitted"]


@dataclass(frozen=True)
class Cluster:
    """Where Kafka is, as whom it is reached, and the prefix that keeps installations apart that share a cluster (empty
    in production)."""

    bootstrap: str
    prefix: str = ""
    security: Security = field(default_factory=Security)

    @classmethod
    def of(cls, settings: KafkaSettings) -> Cluster:
        """The cluster that the settings name."""
        return cls(settings.kafka_bootstrap, settings.topic_prefix, Security.of(settings))

    def physical(self, topic: str) -> str:
        """The name of a topic as the broker knows it."""
        return f"{self.prefix}{topic}"

    def logical(self, topic: str) -> str:
        """The name of a topic as the registry knows it."""
        return topic.removeprefix(self.prefix)


def addresses_of(bootstrap: str) -> list[tuple[str, int]]:
    """Host and port of every broker that is named. Raises Invalid where one of them is no address."""
    found = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise Invalid(
                f"{redact_text(address.strip()) or 'nothing'} is no address of a broker: DESK_KAFKA_BOOTSTRAP must be "
                "host:port, or several of them with commas in between"
            )
        found.append((host.removeprefix("[").removesuffix("]"), int(port)))
    return found


async def reach_any(bootstrap: str) -> None:
    """Returns once one of the brokers that are named accepts a connection; all are tried at the same time, because one
    that is silent must not hide another that answers. Raises Unavailable with the reason of each when none does."""
    attempts = [asyncio.ensure_future(_reach(host, port)) for host, port in addresses_of(bootstrap)]
    problems = []
    try:
        for attempt in asyncio.as_completed(attempts):
            if (problem := await attempt) is None:
                return
            problems.append(problem)
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
    raise Unavailable("; ".join(problems))


async def _reach(host: str, port: int) -> str | None:
    """Why a broker cannot be reached; None when it can."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    writer.close()
    return None


def silence(cluster: Cluster, error: KafkaError) -> Unavailable:
    """A cluster that does not answer, in a sentence for whoever gave the address."""
    reason = "" if isinstance(error, KafkaConnectionError) else f": {error}"
    return Unavailable(
        f"Kafka does not answer at {redact_text(cluster.bootstrap)}{reason}. Is DESK_KAFKA_BOOTSTRAP right, does the "
        "broker run?"
    )


async def to_its_end(closing: Coroutine[Any, Any, None]) -> None:
    """Waits until a client of aiokafka has ended. Every one is ended so.

    While it cancels its own tasks and waits for them, it takes a cancellation of whoever waits for one of theirs, and
    that one goes on for ever. In a task of its own it ends by itself when nobody waits any more.
    """
    await asyncio.shield(asyncio.ensure_future(closing))


@asynccontextmanager
async def admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrative client, closed at the end whatever happens. Raises Invalid where the address is none."""
    addresses_of(cluster.bootstrap)
    client = AIOKafkaAdminClient(
        bootstrap_servers=cluster.bootstrap, request_timeout_ms=10_000, **cluster.security.options()
    )
    try:
        await client.start()
        yield client
    finally:
        await to_its_end(client.close())


@asynccontextmanager
async def reading(cluster: Cluster, *, isolation: Isolation = "read_committed") -> AsyncIterator[AIOKafkaConsumer]:
    """A reader that belongs to no group and stores nothing. Raises KafkaError when no broker answers."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        enable_auto_commit=False,
        # What retention deleted meanwhile is passed over; otherwise the rest of the log would be, too.
        auto_offset_reset="earliest",
        isolation_level=isolation,
        **cluster.security.options(),
    )
    try:
        await reader.start()
        yield reader
    finally:
        await to_its_end(reader.stop())


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


@dataclass(frozen=True)
class Bounds:
    """The first offset that a partition still has, and the one after its last."""

    begin: int
    end: int


async def end_offsets(cluster: Cluster, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Where each partition of these topics (registry names) ends. Raises KafkaError when no broker answers."""
    return {place: each.end for place, each in (await bounds(cluster, topics)).items()}


async def bounds(cluster: Cluster, topics: Iterable[str]) -> dict[tuple[str, int], Bounds]:
    """Where each partition of these topics (registry names) begins and ends; topics that do not exist are left out.

    Raises KafkaError when no broker answers.
    """
    async with admin(cluster) as client:
        described = await client.describe_topics([cluster.physical(topic) for topic in topics])
    partitions = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    if not partitions:
        return {}
    async with reading(cluster, isolation="read_uncommitted") as reader:
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
    return {(cluster.logical(one.topic), one.partition): Bounds(begins[one], offset) for one, offset in ends.items()}
