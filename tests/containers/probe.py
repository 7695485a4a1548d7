"""Run inside the closed network as one principal: tries every topic and more, and prints what it was allowed as JSON.

What a principal may write is not tried (it would write), only what it must not; that the rest works is what the demo
shows. Arguments: the topics that must not be written, and those that are tried to be read, and groups.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeAclsRequest

from shared.messaging.kafka import Cluster, admin
from shared.settings import KafkaSettings

SECONDS = 15


async def outcome(work: Any) -> str:
    """ "allowed", or the name of the error."""
    try:
        await asyncio.wait_for(work, SECONDS)
    except (KafkaError, TimeoutError) as error:
        return type(error).__name__
    return "allowed"


async def write(cluster: Cluster, topic: str) -> None:
    """One record without a meaning."""
    client = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=False, **cluster.security.options()
    )
    await client.start()
    try:
        await client.send_and_wait(topic, b"probe", partition=0)
    finally:
        await client.stop()


async def read(cluster: Cluster, topic: str) -> None:
    """The first record, or the news that there is none."""
    async with admin(cluster) as client:
        (described,) = await client.describe_topics([topic])
    if described["error_code"]:
        raise for_code(described["error_code"])(topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, enable_auto_commit=False, **cluster.security.options()
    )
    consumer.assign([TopicPartition(topic, number) for number in range(len(described["partitions"]))])
    await consumer.start()
    try:
        await consumer.seek_to_beginning()
        await consumer.getmany(timeout_ms=3000)
    finally:
        await consumer.stop()


async def join(cluster: Cluster, group: str) -> None:
    """The first step of every member; only the right to a group lets it through."""
    async with admin(cluster) as client:
        await client.find_coordinator(group)


async def create(cluster: Cluster) -> None:
    """A topic that nobody wants."""
    async with admin(cluster) as client:
        answer = await client.create_topics([NewTopic("desk.probe", 1, 1)])
    code = answer.topic_errors[0][1]
    if code:
        raise for_code(code)()


async def see_rights(cluster: Cluster) -> None:
    """The list of everybody's rights."""
    anybody = 1
    async with admin(cluster) as client:
        answer = await client._send_request(DescribeAclsRequest(anybody, None, anybody, None, None, anybody, anybody))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)


async def main(asked: dict[str, list[str]]) -> dict[str, Any]:
    """Everything that was asked."""
    cluster = Cluster.of(KafkaSettings())
    return {
        "write": {topic: await outcome(write(cluster, topic)) for topic in asked["write"]},
        "read": {topic: await outcome(read(cluster, topic)) for topic in asked["read"]},
        "join": {group: await outcome(join(cluster, group)) for group in asked["join"]},
        "create": await outcome(create(cluster)),
        "see rights": await outcome(see_rights(cluster)),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(os.environ["ASKED"])))))
    sys.exit(0)
