"""Creating the topics of the registry: an explicit step, once, before any consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from shared.contracts.topics import Topic
from shared.errors import Conflict
from shared.messaging.kafka import Cluster, admin

TOPIC_ALREADY_EXISTS = 36
INVALID_REPLICATION_FACTOR = 38
DESCRIBED_WITHIN_SECONDS = 5.0


class TopicsDiffer(Conflict):
    """The cluster has a topic of ours with other settings, or would not make one; the message says which and what.

    Nothing was made.
    """

    code = "topics-differ"
    title = "The cluster's topics are not as the registry wants them"


@dataclass(frozen=True)
class Difference:
    """One thing that the cluster has otherwise than the registry. `action` says what to do about it."""

    topic: str
    says: str
    action: str

    def __str__(self) -> str:
        return f"{self.topic} {self.says}"


async def create_topics(
    cluster: Cluster, topics: Iterable[Topic], *, replication: int = 1, partitions: int | None = None
) -> list[str]:
    """Creates what is missing and returns the names that it created; what exists is compared first.

    Running it again changes nothing. Raises TopicsDiffer, which names every difference and everything that the broker
    would refuse: then no topic was made. Raises KafkaError when no broker answers.
    """
    wanted = {cluster.physical(topic.name): topic for topic in topics}
    asked = _new_topics(wanted, replication, partitions)
    async with admin(cluster) as client:
        # The controller knows at once what exists; what the brokers list of it comes later.
        existing, found = await _tried(client, list(asked.values()))
        found = await _differing(client, wanted, existing, partitions, replication) + found
        new = [asked[name] for name in asked if name not in existing]
        if new and not found:
            # Another runner may have been faster: then its topics are compared as well.
            raced, found = await _made(client, new)
            found += await _differing(client, wanted, raced, partitions, replication)
            new = [each for each in new if each.name not in raced]
    if found:
        raise TopicsDiffer(_told(found), problems=[str(each) for each in found])
    return [each.name for each in new]


async def differences(cluster: Cluster, topics: Iterable[Topic], *, partitions: int | None = None) -> list[Difference]:
    """What the cluster lacks or has otherwise than the registry, told without changing anything.

    Raises KafkaError when no broker answers.
    """
    wanted = {cluster.physical(topic.name): topic for topic in topics}
    async with admin(cluster) as client:
        existing = set(await client.list_topics())
        found = await _differing(client, wanted, existing, partitions)
    missing = [Difference(name, "is missing", "make it: `python -m shared.messaging topics`") for name in wanted]
    return [each for each in missing if each.topic not in existing] + found


def _told(found: Iterable[Difference]) -> str:
    """Every difference on a line of its own, those together that are mended in the same way, and how."""
    actions: dict[str, list[str]] = {}
    for each in found:
        actions.setdefault(each.action, []).append(str(each))
    lines = [line for action, differ in actions.items() for line in (*differ, f"→ {action}")]
    return "\n  ".join(["the broker's topics are not as they must be, and none was made:", *lines])


def _new_topics(wanted: Mapping[str, Topic], replication: int, partitions: int | None) -> dict[str, NewTopic]:
    return {
        name: NewTopic(
            name=name,
            num_partitions=partitions or topic.partitions,
            replication_factor=replication,
            topic_configs=topic.config(),
        )
        for name, topic in wanted.items()
    }


async def _tried(client: AIOKafkaAdminClient, asked: list[NewTopic]) -> tuple[set[str], list[Difference]]:
    """Which of these topics exist, and what the broker would refuse of the others; none is made."""
    return _outcome(await client.create_topics(asked, validate_only=True))


async def _made(client: AIOKafkaAdminClient, new: list[NewTopic]) -> tuple[set[str], list[Difference]]:
    """Makes these topics: which of them existed, and what the broker refused."""
    return _outcome(await client.create_topics(new))


def _outcome(response: Any) -> tuple[set[str], list[Difference]]:
    """create_topics does not raise: what went wrong stands in the answer."""
    existing = {name for name, code, _ in response.topic_errors if code == TOPIC_ALREADY_EXISTS}
    refused = [
        Difference(name, f"is refused by the broker: {for_code(code).__name__} {message or ''}".strip(), _remedy(code))
        for name, code, message in response.topic_errors
        if code not in (0, TOPIC_ALREADY_EXISTS)
    ]
    return existing, refused


def _remedy(code: int) -> str:
    if code == INVALID_REPLICATION_FACTOR:
        return "start as many brokers as DESK_KAFKA_REPLICATION asks for, or ask for fewer"
    return "mend what it names on the broker, or take another DESK_TOPIC_PREFIX"


async def _differing(
    client: AIOKafkaAdminClient,
    wanted: Mapping[str, Topic],
    existing: set[str],
    partitions: int | None,
    replication: int = 1,
) -> list[Difference]:
    found: list[Difference] = []
    for name, topic in wanted.items():
        if name in existing:
            found += await _compared(client, name, topic, partitions or topic.partitions, replication)
    return found


async def _compared(
    client: AIOKafkaAdminClient, name: str, topic: Topic, partitions: int, replication: int
) -> list[Difference]:
    """What differs between an existing topic and the registry. More partitions than wanted are as wrong as fewer:
    a key would change its partition."""
    described = await _described(client, name)
    if described is None:
        action = "see whether its broker runs, then say it again"
        return [Difference(name, "exists and no broker describes its partitions", action)]
    found = []
    if (actual := len(described)) != partitions:
        action = "partitions must never change: take another DESK_TOPIC_PREFIX, or delete the topic if it is empty"
        found.append(Difference(name, f"has {actual} partitions instead of {partitions}", action))
    if (fewest := min(len(each["replicas"]) for each in described)) < replication:
        action = "give its partitions more replicas (`kafka-reassign-partitions`), or ask for fewer"
        found.append(Difference(name, f"has {fewest} replicas instead of {replication}", action))
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    settings = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
    action = "set these settings on the broker (`kafka-configs --alter`), or take another DESK_TOPIC_PREFIX"
    found += [
        Difference(name, f"has {setting}={settings.get(setting)} instead of {value}", action)
        for setting, value in topic.config().items()
        if settings.get(setting) != value
    ]
    return found


async def _described(client: AIOKafkaAdminClient, name: str) -> list[dict[str, Any]] | None:
    """The partitions of a topic as the broker describes them; one that was made a moment ago is not known at once."""
    for _ in range(int(DESCRIBED_WITHIN_SECONDS * 10)):
        partitions: list[dict[str, Any]] = (await client.describe_topics([name]))[0]["partitions"]
        if partitions:
            return sorted(partitions, key=lambda each: int(each["partition"]))
        await asyncio.sleep(0.1)
    return None
