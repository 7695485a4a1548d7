"""Who may do what on Kafka: written by hand here, compared with the registry, and set on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contracts.topics import TOPICS
from shared.errors import Invalid
from shared.messaging.access import Access, access_of, access_of_outsider, registry, script
from shared.messaging.granting import Applied, GrantRefused, apply, set_passwords
from shared.messaging.kafka import Cluster
from tests.support.servers import private_kafka

NOWHERE = Cluster("never:9092")
# Whoever comes in without a name is the operator here, so that rights can be set without certificates.
AUTHORIZING = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


def told(granted: list[Access]) -> set[tuple[str, str, str]]:
    """What is granted, as (operation, resource, name)."""
    return {(one.operation, one.resource, one.name) for one in granted}


def test_a_service_writes_its_own_topics_and_reads_what_it_reacts_to() -> None:
    assert told(access_of("sla", NOWHERE)) == {
        ("write", "topic", "desk.sla.v1"),
        ("write", "topic", "desk.contracts.v1"),
        ("read", "topic", "desk.tickets.v1"),
        ("read", "group", "desk-sla"),
    }
    assert told(access_of("devlink", NOWHERE)) == {
        ("write", "topic", "desk.devlink.v1"),
        ("read", "topic", "desk.tickets.v1"),
        ("read", "group", "desk-devlink"),
    }


def test_each_topic_is_written_by_one_principal() -> None:
    """Anybody who could write ticket.escalated could give work to Development."""
    writers = [(one.name, one.principal) for one in registry(NOWHERE, ["reports"]) if one.operation == "write"]
    assert sorted(writers) == sorted((topic.name, topic.owner) for topic in TOPICS)


def test_an_outsider_reads_the_topics_without_personal_data_and_writes_none() -> None:
    granted = access_of_outsider("reports", NOWHERE)
    assert told(granted) == {
        ("read", "topic", "desk.environments.v1"),
        ("read", "topic", "desk.sla.v1"),
        ("read", "topic", "desk.contracts.v1"),
        ("read", "topic", "desk.devlink.v1"),
        ("read", "group", "reports."),
    }
    assert [one.name for one in granted if one.prefixed] == ["reports."]


def test_an_outsider_cannot_have_the_name_of_a_service() -> None:
    with pytest.raises(Invalid, match="sla"):
        registry(NOWHERE, ["sla"])


def test_names_carry_the_prefix_of_the_installation() -> None:
    names = {one.name for one in access_of("sla", Cluster("never:9092", "trial."))}
    assert names == {"trial.desk.sla.v1", "trial.desk.contracts.v1", "trial.desk.tickets.v1", "trial.desk-sla"}


def test_the_script_says_the_same_with_the_tool_of_kafka() -> None:
    lines = script(access_of("devlink", NOWHERE)).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert 'kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.devlink.v1' in lines


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A broker that keeps rights."""
    broker = private_kafka(Path(tmp_path_factory.mktemp("strict")), AUTHORIZING)
    broker.start()
    try:
        yield Cluster(broker.bootstrap)
    finally:
        broker.remove()


async def test_rights_become_those_of_the_registry_and_stay_so(strict: Cluster) -> None:
    granted = registry(strict, ["reports"])
    assert await apply(strict, granted) == Applied(added=len(granted), removed=0, kept=0)
    assert await apply(strict, granted) == Applied(added=0, removed=0, kept=len(granted))


async def test_what_the_registry_does_not_name_is_taken_away(strict: Cluster) -> None:
    granted = registry(strict)
    await apply(strict, registry(strict, ["reports"]))
    stray = Access("sla", "topic", "desk.tickets.v1", "write")
    await apply(strict, [*granted, stray])
    again = await apply(strict, granted)
    assert (again.added, again.removed) == (0, 1), "the stray right of a service"
    assert await apply(strict, [*granted, *access_of_outsider("reports", strict)]) == Applied(
        added=len(access_of_outsider("reports", strict)) - 1, removed=0, kept=len(granted) + 1
    ), "an outsider who is no longer named keeps its empty group and no topic"


async def test_rights_of_others_on_other_topics_are_left_alone(strict: Cluster) -> None:
    other = Access("warehouse", "topic", "stock.v1", "write")
    await apply(strict, registry(strict))
    await apply(strict, [other])
    assert (await apply(strict, registry(strict))).removed == 0
    assert await apply(strict, [other]) == Applied(added=0, removed=0, kept=1)


async def test_a_password_is_set_and_set_anew(strict: Cluster) -> None:
    await set_passwords(strict, {"sla": "first", "tickets": "other"})
    await set_passwords(strict, {"sla": "second"})


async def test_a_cluster_that_keeps_no_rights_says_so(kafka_bootstrap: str) -> None:
    with pytest.raises(GrantRefused, match="Security"):
        await apply(Cluster(kafka_bootstrap), registry(NOWHERE))
