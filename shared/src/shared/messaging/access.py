"""Who may do what on Kafka, by the registry: each service writes its own topics and reads what it reacts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.consumers import CONSUMERS, PROJECTED, services
from shared.contracts.topics import OPEN_COPIES, REPLAYS, TOPICS, topic_of
from shared.errors import Invalid
from shared.messaging.kafka import Cluster

Resource = Literal["topic", "group", "transactional-id"]
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


def transactional_id_of(service: str) -> str:
    """The identity under which the leader of a service writes state records, and ends the power of the one before."""
    return f"desk-{service}-records"


def access_of(service: str, cluster: Cluster) -> list[Access]:
    """What a service may do; its name is its principal.

    Writing includes describing, and an idempotent producer needs nothing beyond the right to write somewhere. Its own
    topics it reads as well: before a relay sends, it compares them with its archive.
    """
    own = [topic for topic in TOPICS if topic.owner == service]
    beside = [topic for topic in (*OPEN_COPIES, *REPLAYS) if topic.owner == service]
    received = {topic_of(event).name for event in CONSUMERS.get(service, ())}
    # Only what a service projects it can be told again.
    owners = {topic_of(event).owner for event in PROJECTED.get(service, ())}
    told_again = {one.name for one in REPLAYS if one.owner in owners}
    read = sorted(received | told_again | {topic.name for topic in own})
    group = [Access(service, "group", cluster.physical(group_of(service)), "read")] if received else []
    fenced = any(topic.cleanup == "compact" for topic in own)
    writer = cluster.physical(transactional_id_of(service))
    return [
        *[Access(service, "topic", cluster.physical(topic.name), "write") for topic in (*own, *beside)],
        *[Access(service, "topic", cluster.physical(topic), "read") for topic in read],
        *group,
        *([Access(service, "transactional-id", writer, "write")] if fenced else []),
    ]


def access_of_outsider(name: str, cluster: Cluster) -> list[Access]:
    """What another system may do: read the topics without personal data, in groups that begin with its own name."""
    open_topics = [topic.name for topic in (*TOPICS, *OPEN_COPIES) if not topic.is_personal()]
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
    """The lines of a shell script that grants all of it with Kafka's own tool; a deployment compares with it, too."""
    lines = [f'kafka-acls.sh "$@" {one.line()}' for one in granted]
    return "\n".join(
        [
            "#!/bin/sh",
            "# Printed by `python -m shared.messaging acls`: what each service and other system may do on Kafka.",
            "# sh this-file --bootstrap-server HOST:PORT --command-config FILE",
            "set -e",
            *lines,
        ]
    )
