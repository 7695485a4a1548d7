"""The topics are made once, checked every time, and a difference is named."""

from __future__ import annotations

import asyncio
import socket
import uuid
from dataclasses import replace

import pytest

from shared.contracts.topics import CLIENTS, SLA, TICKETS, TOPICS
from shared.errors import Invalid, Unavailable
from shared.messaging.kafka import Cluster, missing_topics, reach_any
from shared.messaging.topics import TopicsDiffer, create_topics
from tests.conftest import delete_topics


async def test_topics_are_made_once_and_found_the_second_time(kafka_bootstrap: str) -> None:
    cluster = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    try:
        assert len(await missing_topics(cluster, [topic.name for topic in TOPICS])) == len(TOPICS)
        made = await create_topics(cluster, TOPICS, partitions=3)
        assert len(made) == len(TOPICS)
        assert await create_topics(cluster, TOPICS, partitions=3) == []
        assert await missing_topics(cluster, [topic.name for topic in TOPICS]) == []
    finally:
        await delete_topics(cluster)


async def test_other_settings_or_partitions_are_named(cluster: Cluster) -> None:
    with pytest.raises(TopicsDiffer, match=r"desk\.tickets\.v1 has 3 partitions instead of 5"):
        await create_topics(cluster, [TICKETS], partitions=5)
    wrong = replace(CLIENTS, cleanup="delete")
    with pytest.raises(TopicsDiffer, match=r"cleanup\.policy=compact instead of delete"):
        await create_topics(cluster, [wrong], partitions=3)


async def test_all_differences_are_told_at_once_with_what_to_do_and_then_nothing_is_made(kafka_bootstrap: str) -> None:
    cluster = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    try:
        await create_topics(cluster, [TICKETS, CLIENTS], partitions=3)
        wanted = [replace(CLIENTS, cleanup="delete"), TICKETS, SLA]
        with pytest.raises(TopicsDiffer) as refused:
            await create_topics(cluster, wanted, partitions=5)
        told = refused.value.message
        for topic, difference in (
            (TICKETS, "has 3 partitions instead of 5"),
            (CLIENTS, "has 3 partitions instead of 5"),
            (CLIENTS, "has cleanup.policy=compact instead of delete"),
        ):
            assert f"{cluster.physical(topic.name)} {difference}" in told.replace("\n", " ")
        assert told.count("partitions must never change") == 1, "what is mended in the same way is said once"
        assert "→ set these settings on the broker" in told
        assert await missing_topics(cluster, [SLA.name]) == [SLA.name], "what was missing was not made"
    finally:
        await delete_topics(cluster)


async def test_a_broker_that_has_not_the_replicas_is_refused_before_any_topic_is_made(kafka_bootstrap: str) -> None:
    cluster = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    try:
        with pytest.raises(TopicsDiffer, match="start as many brokers as DESK_KAFKA_REPLICATION asks for"):
            await create_topics(cluster, TOPICS, partitions=3, replication=3)
        assert len(await missing_topics(cluster, [topic.name for topic in TOPICS])) == len(TOPICS)
        await create_topics(cluster, [TICKETS], partitions=3)
        with pytest.raises(TopicsDiffer, match=r"desk\.tickets\.v1 has 1 replicas instead of 2"):
            await create_topics(cluster, [TICKETS], partitions=3, replication=2)
    finally:
        await delete_topics(cluster)


async def test_what_the_broker_refuses_is_said_and_nothing_else_is_made(kafka_bootstrap: str) -> None:
    cluster = Cluster(kafka_bootstrap, "not a name/")
    with pytest.raises(TopicsDiffer, match="InvalidTopic"):
        await create_topics(cluster, [TICKETS], partitions=3)
    fine = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    impossible = replace(SLA, settings={"segment.ms": "soon"})
    with pytest.raises(TopicsDiffer, match="InvalidConfiguration"):
        await create_topics(fine, [TICKETS, impossible], partitions=3)
    assert await missing_topics(fine, [TICKETS.name]) == [TICKETS.name]


@pytest.mark.parametrize("bootstrap", ["nonsense", "kafka:", "kafka:x", "", "127.0.0.1:9,"])
async def test_what_is_no_address_is_told(bootstrap: str) -> None:
    with pytest.raises(Invalid, match="DESK_KAFKA_BOOTSTRAP must be host:port"):
        await create_topics(Cluster(bootstrap), TOPICS)


async def test_a_silent_broker_does_not_hide_another_that_answers(kafka_bootstrap: str) -> None:
    """The first address belongs to a server that accepts nobody any more, as behind a firewall that drops."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            async with asyncio.timeout(10):
                await reach_any(f"127.0.0.1:{port},127.0.0.1:9,{kafka_bootstrap}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await reach_any(f"127.0.0.1:{port}")
        finally:
            for one in waiting:
                one.close()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9: .*; 127\.0\.0\.1:7: "):
        await reach_any("127.0.0.1:9,127.0.0.1:7")
