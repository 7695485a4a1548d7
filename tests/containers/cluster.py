"""Run inside the closed network as the operator: prints on how many brokers each topic is and must be, as JSON."""

from __future__ import annotations

import asyncio
import json

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.messaging.kafka import Cluster, admin
from shared.settings import KafkaSettings


async def main() -> dict[str, tuple[list[int], str]]:
    """Topic → how many brokers keep each partition, and the min.insync.replicas that is in force."""
    async with admin(Cluster.of(KafkaSettings())) as client:
        described = await client.describe_topics(await client.list_topics())
        replicas = {each["topic"]: [len(one["replicas"]) for one in each["partitions"]] for each in described}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in replicas]
        answers = await client.describe_configs(asked)
    # An entry begins with name and value, a resource ends with its name and its entries.
    in_force = {
        name: {entry[0]: entry[1] for entry in entries}["min.insync.replicas"]
        for answer in answers
        for *_, name, entries in answer.resources
    }
    return {name: (numbers, in_force[name]) for name, numbers in replicas.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
