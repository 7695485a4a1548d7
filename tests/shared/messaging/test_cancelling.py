"""Whoever is cancelled while a client of Kafka ends is cancelled: it must not take that for one of its own tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.messaging.kafka import Cluster, admin, reading

# At so many turns of the loop after the client began to end.
TURNS = range(16)


async def for_ever(begin: Callable[[Cluster], Any], cluster: Cluster) -> None:
    """As whoever looks back does it, once after the other."""
    while True:
        async with begin(cluster) as client:
            if isinstance(client, AIOKafkaConsumer):
                client.assign([TopicPartition(cluster.physical("desk.tickets.v1"), 0)])
                await client.getmany(timeout_ms=20)


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize(
    ("begin", "client", "end"), [(reading, AIOKafkaConsumer, "stop"), (admin, AIOKafkaAdminClient, "close")]
)
async def test_a_cancellation_that_meets_the_end_of_a_client_is_not_lost(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, begin: Any, client: type, end: str, turns: int
) -> None:
    ending, original = asyncio.Event(), getattr(client, end)

    async def noted(self: Any) -> None:
        ending.set()
        await original(self)

    monkeypatch.setattr(client, end, noted)
    task = asyncio.create_task(for_ever(begin, cluster))
    await asyncio.wait_for(ending.wait(), 10)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=3)
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.01)
    assert done, "it went on as if nobody had cancelled it"
