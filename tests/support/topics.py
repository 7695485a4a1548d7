"""Settings of a topic, as its broker goes by them."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.messaging.kafka import Cluster, admin
from tests.support.eventually import eventually


async def configure(cluster: Cluster, topic: str, settings: Mapping[str, str]) -> None:
    """Sets them, and waits: the controller takes them at once, and the broker hears of them a moment later."""
    name = cluster.physical(topic)
    async with admin(cluster) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(settings))])

        async def taken() -> bool:
            answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            now = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
            return settings.items() <= now.items()

        await eventually(taken, within=60, what=f"{topic} goes by {settings}")
