"""Creating the topics of the registry: an explicit step, once, before any consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from shared.contracts.topics import Topic
from shared.errors import Conflict
from shared.messaging.kafka import Cluster, admin

TOPIC_ALREADY_EXISTS = 36


class TopicsDiffer(Conflict):
    """The cluster has a topic of ours with other settings, or refused to make one; the message says which and what."""

    code = "topics-differ"
    title = "The cluster's topics are not as the registry wants them"


async def create_topics(
    cluster: Cluster, topics: Iterable[Topic], *, replication: int = 1, partitions: int | None = None
) -> list[str]:
    """Creates what is missing, checks what exists, returns the names that it created.

    Running it again changes nothing. Raises TopicsDiffer, which names every difference, and KafkaError when no broker
    answers.
    """
    wanted = {cluster.physical(topic.name): topic for topic in topics}
    async with admin(cluster) as client:
        response = await client.create_topics(
            [
                NewTopic(
                    name=name,
                    num_partitions=partitions or topic.partitions,
                    replication_factor=replication,
                    topic_configs=topic.config(),
                )
                for name, topic in wanted.items()
            ]
        )
        # create_topics does not raise: what went wrong stands in the answer.
        outcome = {name: (code, message) for name, code, message in response.topic_errors}
        problems = [
            f"{name}: {for_code(code).__name__} {message or ''}".strip()
            for name, (code, message) in outcome.items()
            if code not in (0, TOPIC_ALREADY_EXISTS)
        ]
        existing = [name for name, (code, _) in outcome.items() if code == TOPIC_ALREADY_EXISTS]
        for name in existing:
            problems += await _differences(client, name, wanted[name], partitions or wanted[name].partitions)
    if problems:
        raise TopicsDiffer("; ".join(problems), problems=problems)
    return [name for name, (code, _) in outcome.items() if code == 0]


async def differences(cluster: Cluster, topics: Iterable[Topic], *, partitions: int | None = None) -> list[str]:
    """What the cluster lacks or has otherwise than the registry, told without changing anything.

    Raises KafkaError when no broker answers.
    """
    wanted = {cluster.physical(topic.name): topic for topic in topics}
    async with admin(cluster) as client:
        existing = set(await client.list_topics())
        found = [f"{name} is missing" for name in wanted if name not in existing]
        for name, topic in wanted.items():
            if name in existing:
                found += await _differences(client, name, topic, partitions or topic.partitions)
    return found


async def _differences(client: AIOKafkaAdminClient, name: str, topic: Topic, partitions: int) -> list[str]:
    """What differs between an existing topic and the registry. More partitions than wanted are as wrong as fewer:
    a key would change its partition."""
    found = []
    actual = len((await _described(client, name))["partitions"])
    if actual != partitions:
        found.append(f"{name} has {actual} partitions instead of {partitions}")
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    settings = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
    for setting, value in topic.config().items():
        if settings.get(setting) != value:
            found.append(f"{name} has {setting}={settings.get(setting)} instead of {value}")
    return found


async def _described(client: AIOKafkaAdminClient, name: str) -> dict[str, Any]:
    """A topic as the broker describes it; one that somebody made a moment ago is not known to every broker yet."""
    for _ in range(50):
        described: dict[str, Any] = (await client.describe_topics([name]))[0]
        if described["partitions"]:
            return described
        await asyncio.sleep(0.1)
    raise TopicsDiffer(f"{name} exists and no broker describes it")
