"""The topics are made once, checked every time, and a difference is named."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from shared.contracts.topics import CLIENTS, TICKETS, TOPICS
from shared.messaging.kafka import Cluster, missing_topics
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


async def test_what_the_broker_refuses_is_said(kafka_bootstrap: str) -> None:
    cluster = Cluster(kafka_bootstrap, "not a name/")
    with pytest.raises(TopicsDiffer, match="InvalidTopic"):
        await create_topics(cluster, [TICKETS], partitions=3)
