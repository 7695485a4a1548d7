"""Who may do what on Kafka: written by hand here, compared with the registry, and set on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.conn import create_conn
from aiokafka.errors import SaslAuthenticationFailed

from runner.kafka import EmbeddedKafka
from runner.ports import free_port
from shared.contracts.topics import ALL_TOPICS
from shared.errors import Invalid
from shared.messaging.access import Access, access_of, access_of_outsider, registry, script
from shared.messaging.granting import Applied, GrantRefused, apply, set_passwords
from shared.messaging.kafka import Cluster
from shared.messaging.security import MECHANISM
from tests.support.eventually import eventually
from tests.support.servers import CACHE

NOWHERE = Cluster("never:9092")
# Whoever comes in without a name is the operator here, so that rights can be set without certificates.
AUTHORIZING = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    # Without TLS: that passwords travel only over it is tested where there are certificates.
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
    "listener.name.login.sasl.enabled.mechanisms": MECHANISM,
    f"listener.name.login.{MECHANISM.lower()}.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
}


def told(granted: list[Access]) -> set[tuple[str, str, str]]:
    """What is granted, as (operation, resource, name)."""
    return {(one.operation, one.resource, one.name) for one in granted}


def test_a_service_writes_its_own_topics_and_reads_what_it_reacts_to() -> None:
    assert told(access_of("sla", NOWHERE)) == {
        ("write", "topic", "desk.sla.v1"),
        ("write", "topic", "desk.contracts.v1"),
        ("read", "topic", "desk.tickets.v1"),
        ("read", "topic", "desk.sla.v1"),
        ("read", "topic", "desk.contracts.v1"),
        ("read", "group", "desk-sla"),
        ("write", "transactional-id", "desk-sla-records"),
    }
    assert told(access_of("devlink", NOWHERE)) == {
        ("write", "topic", "desk.devlink.v1"),
        ("read", "topic", "desk.tickets.v1"),
        ("read", "topic", "desk.devlink.v1"),
        ("read", "group", "desk-devlink"),
    }


def test_each_topic_is_written_by_one_principal() -> None:
    """Anybody who could write ticket.escalated could give work to Development."""
    writers = [
        (one.name, one.principal)
        for one in registry(NOWHERE, ["reports"])
        if one.operation == "write" and one.resource == "topic"
    ]
    assert sorted(writers) == sorted((topic.name, topic.owner) for topic in ALL_TOPICS)


def test_an_outsider_reads_the_topics_without_personal_data_and_writes_none() -> None:
    granted = access_of_outsider("reports", NOWHERE)
    assert told(granted) == {
        ("read", "topic", "desk.ticket-facts.v1"),
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
    assert names == {
        "trial.desk.sla.v1", "trial.desk.contracts.v1", "trial.desk.tickets.v1", "trial.desk-sla",
        "trial.desk-sla-records",
    }  # fmt: skip


def test_the_script_says_the_same_with_the_tool_of_kafka() -> None:
    lines = script(access_of("devlink", NOWHERE)).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert 'kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.devlink.v1' in lines


class StrictKafka(EmbeddedKafka):
    """A broker that keeps rights, and that asks for name and password on a second port."""

    login_port = 0

    def _write_properties(self) -> None:
        super()._write_properties()
        self.login_port = self.login_port or free_port()
        login = f",LOGIN://127.0.0.1:{self.login_port}"
        lines = [
            f"{line}{login}" if line.partition("=")[0] in ("listeners", "advertised.listeners") else line
            for line in self._properties.read_text(encoding="utf-8").splitlines()
        ]
        self._properties.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictKafka]:
    started = StrictKafka(Path(tmp_path_factory.mktemp("strict")), CACHE, settings=AUTHORIZING)
    started.start()
    try:
        yield started
    finally:
        started.remove()


@pytest.fixture
def strict(broker: StrictKafka) -> Cluster:
    """A cluster that keeps rights, for its operator."""
    return Cluster(broker.bootstrap)


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


async def log_in(broker: StrictKafka, name: str, password: str) -> None:
    """Shows a name and a password to the broker. Raises KafkaError when they are refused."""
    connection = await create_conn(
        "127.0.0.1", broker.login_port, security_protocol="SASL_PLAINTEXT", sasl_mechanism=MECHANISM,
        sasl_plain_username=name, sasl_plain_password=password,
    )  # fmt: skip
    connection.close()


async def is_let_in(broker: StrictKafka, name: str, password: str) -> bool:
    """Whether the broker takes them; it learns a moment later what its controller has accepted."""
    try:
        await log_in(broker, name, password)
    except SaslAuthenticationFailed:
        return False
    return True


async def test_a_password_is_set_and_set_anew(broker: StrictKafka, strict: Cluster) -> None:
    with pytest.raises(SaslAuthenticationFailed):
        await log_in(broker, "sla", "first")
    await set_passwords(strict, {"sla": "first", "tickets": "other"})
    await eventually(lambda: is_let_in(broker, "sla", "first"))
    await set_passwords(strict, {"sla": "second"})
    await eventually(lambda: is_let_in(broker, "sla", "second"))
    await log_in(broker, "tickets", "other")
    for name, password in (("sla", "first"), ("sla", "other"), ("tickets", "second"), ("devlink", "second")):
        with pytest.raises(SaslAuthenticationFailed):
            await log_in(broker, name, password)


async def test_a_cluster_that_keeps_no_rights_says_so(kafka_bootstrap: str) -> None:
    with pytest.raises(GrantRefused, match="Security"):
        await apply(Cluster(kafka_bootstrap), registry(NOWHERE))
