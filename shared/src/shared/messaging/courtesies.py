"""What a consumer and its brokers owe each other beside the batches; nothing depends on it, so nothing waits long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker

from shared.messaging.kafka import to_its_end

log = structlog.get_logger(__name__)

# How long the brokers' answer is waited for: they may be away.
PATIENCE_SECONDS = 5.0
# When none of the brokers that the client knows has answered for so long, they may have come back elsewhere.
STALE_SECONDS = 60.0


class Whereabouts:
    """Where the brokers are. The client asks the addresses that it was given once, and never again."""

    def __init__(self) -> None:
        # The client's mark of the brokers' last answer, and when it was first seen.
        self._answered: tuple[float, float] = (0.0, time.monotonic())

    async def find_again(self, kafka: AIOKafkaConsumer) -> None:
        """Asks the addresses that were given, when nobody else has answered for long."""
        client = kafka._client  # noqa: SLF001  it has no other way to begin anew
        answered = client.cluster._last_successful_refresh_ms  # noqa: SLF001
        if answered != self._answered[0]:
            self._answered = answered, time.monotonic()
        elif time.monotonic() - self._answered[1] > STALE_SECONDS:
            with contextlib.suppress(KafkaError):
                await client.bootstrap()
                log.warning("the brokers were asked for anew at the addresses given")


async def acknowledge(kafka: AIOKafkaConsumer, marks: Mapping[TopicPartition, int]) -> None:
    """Tells Kafka how far this is, so that lag can be seen there. A rebalance refuses it, and that is fine: the truth
    is in the database."""
    with contextlib.suppress(KafkaError, IllegalStateError, TimeoutError):
        # Without a coordinator the client would wait for ever.
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kafka.commit(dict(marks))


async def say_goodbye(broker: KafkaBroker) -> None:
    """Leaves the group, so that others need not wait for the session to end."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await to_its_end(broker.stop())
    except TimeoutError:
        log.warning("the brokers did not answer the goodbye")
