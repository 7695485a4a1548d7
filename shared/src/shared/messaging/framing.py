"""How FastStream frames the consumer: connection, subscription and lifecycle; what it must not do is taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from shared.messaging.kafka import Cluster

# Longer than any batch may take: a handler that is cancelled in its transaction only costs a repetition.
GRACEFUL_SECONDS = 35.0
# A topic that was made anew is assigned to nobody before the client knows of it; its default is five minutes.
METADATA_MS = 10_000


class SamePartitionsAssignor(RangePartitionAssignor):
    """Partition n of every topic to the same member: what reacts to one ticket never waits for another member.

    A group agrees on the name of an assignor, and whoever leads it assigns. This one goes by the name that earlier
    releases offer, so that it joins a group in which one of them still runs. Offered as a second one beside it, the
    group would hardly come to rest: aiokafka (pull request 1168) joins once per assignor, each time anew.
    """

    name = RoundRobinPartitionAssignor.name


ASSIGNORS: tuple[type[AbstractPartitionAssignor], ...] = (SamePartitionsAssignor,)


class Member(Protocol):
    """Who is told of the partitions that the group gives and takes."""

    async def revoked(self) -> None:
        """All partitions are taken away."""

    async def assigned(self, partitions: set[TopicPartition]) -> None:
        """These are the partitions now."""


def broker_of(service: str, cluster: Cluster) -> KafkaBroker:
    """The frame of a service's consumer, not connected yet."""
    return KafkaBroker(
        # A list, because FastStream takes a text for one address, with commas and all.
        [address.strip() for address in cluster.bootstrap.split(",")],
        client_id=f"{service}-consumer",
        security=_security(cluster),
        consumer_only=True,
        allow_auto_create_topics=False,
        graceful_timeout=GRACEFUL_SECONDS,
        metadata_max_age_ms=METADATA_MS,
        apply_types=False,
        logger=None,
    )


def subscriber_of(
    broker: KafkaBroker, topics: Sequence[str], group: str, member: Member, *, max_batch: int, session_timeout_ms: int
) -> Any:
    """A subscription that hands raw batches over and acknowledges nothing by itself; topics as the broker names them.

    Untyped, because its `get_msg` is replaced: FastStream sleeps after each empty fetch, which would delay the next
    event.
    """
    return broker.subscriber(
        *topics,
        batch=True,
        group_id=group,
        ack_policy=AckPolicy.MANUAL,
        partition_assignment_strategy=ASSIGNORS,
        auto_offset_reset="earliest",
        # Whoever writes state records is fenced by transactions; what was given up in one must not be applied.
        isolation_level="read_committed",
        max_records=max_batch,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=max(100, session_timeout_ms // 4),
        listener=_Listener(member),
        parser=_parse_nothing,
        decoder=_decode_nothing,
    )


def _security(cluster: Cluster) -> BaseSecurity | None:
    """The cluster's security as FastStream takes it; None where there is none."""
    asked = cluster.security
    context = asked.context()
    if context is None:
        return None
    if asked.has_login:
        return SASLScram512(asked.username or "", asked.secret(), ssl_context=context, use_ssl=True)
    return BaseSecurity(ssl_context=context, use_ssl=True)


class _Listener(ConsumerRebalanceListener):
    """Tells the member of its partitions; what it raises aiokafka would swallow, so it raises nothing."""

    def __init__(self, member: Member) -> None:
        self.member = member

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  aiokafka's signature
        await self.member.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self.member.assigned(assigned)


async def _parse_nothing(delivered: tuple[ConsumerRecord[Any, Any], ...]) -> KafkaMessage:
    """Hands the records over as they are: FastStream's own parser fails a whole batch for one undecodable header."""
    return KafkaMessage(raw_message=delivered, body=b"", consumer=FAKE_CONSUMER)


async def _decode_nothing(message: KafkaMessage) -> Any:
    return message.raw_message
