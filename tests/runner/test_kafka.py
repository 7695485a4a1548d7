"""The embedded Apache Kafka: the real broker, killed and frozen for real."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from runner import ports
from runner.errors import PortBusy
from runner.kafka import EmbeddedKafka, cluster_id
from runner.processes import Identity
from tests.support.servers import CACHE, private_kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    broker = private_kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.remove()


async def _write(broker: EmbeddedKafka, topic: str, count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    await producer.start()
    for number in range(count):
        await producer.send(topic, str(number).encode(), partition=0)
    await producer.stop()


async def _read(broker: EmbeddedKafka, topic: str, count: int) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [int((await consumer.getone()).value) for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_killed_broker_comes_back_as_itself_with_every_acknowledged_record(broker: EmbeddedKafka) -> None:
    await _write(broker, "kept", 500)
    before = (broker.port, cluster_id(broker.bootstrap))
    broker.kill()
    assert not broker.answers()
    broker.start()
    assert (broker.port, cluster_id(broker.bootstrap)) == before
    assert await _read(broker, "kept", 500) == list(range(500))


async def test_no_topic_is_made_by_writing_to_it(broker: EmbeddedKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, request_timeout_ms=1000)
    await producer.start()
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.partitions_for("never-created")
    finally:
        await producer.stop()


def test_a_frozen_broker_does_not_answer_and_a_woken_one_does(broker: EmbeddedKafka) -> None:
    broker.pause()
    assert not broker.answers()
    broker.resume()
    assert broker.answers()


def test_two_brokers_are_two_clusters_though_one_formatted_folder_made_both(
    broker: EmbeddedKafka, tmp_path: Path
) -> None:
    other = private_kafka(tmp_path / "other")
    try:
        other.start()
        assert cluster_id(other.bootstrap) != cluster_id(broker.bootstrap)
    finally:
        other.remove()


def test_a_startup_cache_that_the_jvm_refuses_does_not_keep_the_broker_down(tmp_path: Path) -> None:
    broker = private_kafka(tmp_path / "kafka")
    broker.cache = tmp_path / "cache"
    (broker.cache / "kafka").mkdir(parents=True)
    for path in (CACHE / "kafka").iterdir():
        if path.suffix != ".aot":
            (broker.cache / "kafka" / path.name).symlink_to(path)
    broker.fetch()
    broker._startup_cache.write_bytes(b"not a cache")
    try:
        broker.start()
        assert broker.has_startup_cache
        assert broker.answers()
    finally:
        broker.remove()


def test_the_broker_of_a_killed_runner_is_ended_before_a_new_one_starts(broker: EmbeddedKafka) -> None:
    left = Identity.of(broker.pid)
    successor = EmbeddedKafka(broker.folder, CACHE, broker.port)
    successor.start()
    try:
        assert left is not None
        assert not left.alive()
        assert successor.answers()
    finally:
        successor.kill()
        broker.start()


def test_a_busy_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as listener:
        broker = EmbeddedKafka(tmp_path / "kafka", CACHE, listener.getsockname()[1])
        with pytest.raises(PortBusy, match=rf"Kafka\) is held by pid {os.getpid()}"):
            broker.start()
    assert broker.pid == 0
