"""Who may do what on Kafka, by the registry: each service writes its own topics and reads what it reacts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.consumers import CONSUMERS, services
from shared.contracts.topics import TOPICS, topic_of
from shared.errors import Invalid
from shared.messaging.kafka import Cluster

Resource = Literal["topic", "group"]
Operation = Literal["read", "write"]


@dataclass(frozen=True, order=True)
class Access:
    """One thing that one principal may do from any address; whatever nobody may is refused.

    A `prefixed` name stands for every name that begins with it.
    """

    principal: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False

    def line(self) -> str:
        """The same as arguments of `kafka-acls.sh`, for whoever keeps a cluster's rights by other means."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"--add --allow-principal User:{self.principal} --operation {self.operation.capitalize()} "
            f"--{self.resource} {self.name}{pattern}"
        )


def group_of(service: str) -> str:
    """The consumer group of a service."""
    return f"desk-{service}"


def access_of(service: str, cluster: Cluster) -> list[Access]:
    """What a service may do; its name is its principal.

    Writing includes describing, and an idempotent producer needs nothing beyond the right to write somewhere.
    """
    own = [topic.name for topic in TOPICS if topic.owner == service]
    received = sorted({topic_of(event).name for event in CONSUMERS.get(service, ())})
    group = [Access(service, "group", cluster.physical(group_of(service)), "read")] if received else []
    return [
        *[Access(service, "topic", cluster.physical(topic), "write") for topic in own],
        *[Access(service, "topic", cluster.physical(topic), "read") for topic in received],
        *group,
    ]


def access_of_outsider(name: str, cluster: Cluster) -> list[Access]:
    """What another system may do: read the topics without personal data, in groups that begin with its own name."""
    open_topics = [topic.name for topic in TOPICS if not topic.is_personal()]
    return [
        *[Access(name, "topic", cluster.physical(topic), "read") for topic in open_topics],
        Access(name, "group", f"{name}.", "read", prefixed=True),
    ]


def registry(cluster: Cluster, outsiders: Iterable[str] = ()) -> list[Access]:
    """Everything that everybody may do. Raises Invalid for an outsider who has the name of a service."""
    strangers = sorted(set(outsiders))
    if taken := set(strangers) & set(services()):
        raise Invalid(f"an outsider cannot have the name of a service: {', '.join(sorted(taken))}")
    return [
        *[one for service in services() for one in access_of(service, cluster)],
        *[one for stranger in strangers for one in access_of_outsider(stranger, cluster)],
    ]


def script(granted: Sequence[Access]) -> str:
    """The lines of a shell script that grants all of it with Kafka's own tool."""
    lines = [f'kafka-acls.sh "$@" {one.line()}' for one in granted]
    return "\n".join(
        ["#!/bin/sh", "# sh this-file --bootstrap-server HOST:PORT --command-config FILE", "set -e", *lines]
    )
