"""Whatever compresses the records, a producer or the broker by a topic's setting, a consumer reads them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from shared.contracts.topics import TICKETS, TOPICS
from shared.messaging.kafka import Cluster
from shared.messaging.topics import TopicsDiffer, create_topics, differences
from tests.conftest import PARTITIONS, delete_topics
from tests.shared.messaging.story import consumer_of, running, send
from tests.shared.messaging.test_consumer import applied, prepared, require_each_once, story_of
from tests.support.databases import Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture
async def bare(kafka_bootstrap: str) -> AsyncIterator[Cluster]:
    """This session's broker, with a prefix of this test's own and no topics yet."""
    made = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    yield made
    await delete_topics(made)


@pytest.mark.parametrize("codec", CODECS)
async def test_what_a_producer_compressed_is_read(database: Make, cluster: Cluster, codec: str) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(4, 60), compression_type=codec)
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 60))
    await require_each_once(db, 60)


@pytest.mark.parametrize("codec", CODECS)
async def test_what_a_topics_setting_compresses_again_is_read(database: Make, bare: Cluster, codec: str) -> None:
    db = await prepared(database)
    await create_topics(bare, [replace(TICKETS, settings={"compression.type": codec})], partitions=PARTITIONS)
    await send(bare, *story_of(4, 60), compression_type="zstd" if codec == "gzip" else "gzip")
    async with running(consumer_of(db, bare)):
        await eventually(lambda: applied(db, 60))
    await require_each_once(db, 60)


async def test_a_topic_that_compresses_by_itself_differs_from_the_registry(bare: Cluster) -> None:
    other = [replace(topic, settings={"compression.type": "lz4"}) for topic in TOPICS]
    await create_topics(bare, other, partitions=PARTITIONS)
    told = "has compression.type=lz4 instead of producer"
    assert {each.says for each in await differences(bare, TOPICS, partitions=PARTITIONS)} == {told}
    with pytest.raises(TopicsDiffer, match=told):
        await create_topics(bare, TOPICS, partitions=PARTITIONS)
