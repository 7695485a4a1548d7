"""Who may do what on Kafka: written by hand here, compared with the registry, and set on a real broker.

The script of the deployment sets it, with Kafka's own tools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.conn import create_conn
from aiokafka.errors import SaslAuthenticationFailed

from runner.kafka import EmbeddedKafka
from runner.ports import free_port
from runner.secret_files import make_secrets
from shared.contracts.consumers import services
from shared.contracts.topics import ALL_TOPICS
from shared.errors import Invalid
from shared.messaging.access import Access, access_of, access_of_outsider, registry, script
from shared.messaging.kafka import Cluster
from shared.messaging.security import MECHANISM
from tests.support.eventually import eventually
from tests.support.kafka_tools import SCRIPT, run_script
from tests.support.rights import Right, allow, forbid_all, rights_on
from tests.support.servers import CACHE

NOWHERE = Cluster("never:9092")
# Whoever comes in without a name is the operator here, so that rights can be set without certificates.
AUTHORIZING = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS;User:CN=operator",
    # Without TLS: that passwords travel only over it is tested in containers.
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,OPERATORS:SSL",
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
        ("read", "topic", "desk.tickets.replay.v1"),
        ("write", "topic", "desk.sla.replay.v1"),
        ("read", "group", "desk-sla"),
        ("write", "transactional-id", "desk-sla-records"),
    }
    assert told(access_of("devlink", NOWHERE)) == {
        ("write", "topic", "desk.devlink.v1"),
        ("write", "topic", "desk.dev-task-facts.v1"),
        ("read", "topic", "desk.tickets.v1"),
        ("read", "topic", "desk.devlink.v1"),
        ("read", "topic", "desk.tickets.replay.v1"),
        ("write", "topic", "desk.devlink.replay.v1"),
        ("read", "group", "desk-devlink"),
    }


def test_only_who_projects_may_read_what_is_told_again() -> None:
    """All of it, from the beginning: whoever only reacts has no use for it, and it may be personal."""
    readers = {
        (service, name)
        for service in services()
        for operation, _, name in told(access_of(service, NOWHERE))
        if operation == "read" and name.endswith(".replay.v1")
    }
    others = ("inventory", "sla", "devlink")
    of_others = {("tickets", f"desk.{owner}.replay.v1") for owner in others}
    assert readers == of_others | {(owner, "desk.tickets.replay.v1") for owner in others}


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
        ("read", "topic", "desk.dev-task-facts.v1"),
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
        "trial.desk-sla-records", "trial.desk.sla.replay.v1", "trial.desk.tickets.replay.v1",
    }  # fmt: skip


def test_the_script_says_the_same_with_the_tool_of_kafka() -> None:
    lines = script(access_of("devlink", NOWHERE)).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert 'kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.devlink.v1' in lines


class StrictKafka(EmbeddedKafka):
    """A broker that keeps rights; on a second port it asks for name and password, on a third for a certificate."""

    login_port = operator_port = 0

    def _write_properties(self) -> None:
        super()._write_properties()
        self.login_port = self.login_port or free_port()
        self.operator_port = self.operator_port or free_port()
        further = f",LOGIN://127.0.0.1:{self.login_port},OPERATORS://localhost:{self.operator_port}"
        lines = [
            f"{line}{further}" if line.partition("=")[0] in ("listeners", "advertised.listeners") else line
            for line in self._properties.read_text(encoding="utf-8").splitlines()
        ]
        self._properties.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `desk secrets` makes."""
    folder = tmp_path_factory.mktemp("operator") / "secrets"
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Iterator[StrictKafka]:
    certificates = {
        "keystore.type": "PEM", "keystore.location": str(secrets / "kafka_broker"),
        "truststore.type": "PEM", "truststore.location": str(secrets / "kafka_ca"), "client.auth": "required",
    }  # fmt: skip
    settings = AUTHORIZING | {f"listener.name.operators.ssl.{name}": value for name, value in certificates.items()}
    started = StrictKafka(Path(tmp_path_factory.mktemp("strict")), CACHE, settings=settings)
    started.start()
    try:
        yield started
    finally:
        started.remove()


@pytest.fixture
def strict(broker: StrictKafka) -> Cluster:
    """A cluster that keeps rights, for its operator."""
    return Cluster(broker.bootstrap)


RIGHTS = SCRIPT.with_name("rights.sh")
SetAccess = Callable[..., str]


def test_the_rights_of_the_deployment_are_those_of_the_registry() -> None:
    """Whoever changes the registry says `make contracts`; the change of the rights is then there to be read."""
    assert RIGHTS.read_text(encoding="utf-8") == script(registry(NOWHERE, ["OUTSIDER"])) + "\n"


@pytest.fixture
def set_access(kafka_tools: Path, strict: Cluster, tmp_path: Path) -> SetAccess:
    """Runs the script and returns all that it said."""

    def run(outsiders: str = "", **passwords: str) -> str:
        known = {**dict.fromkeys((*services(), *outsiders.split()), "of no interest"), **passwords}
        done = run_script(kafka_tools, strict.bootstrap, known, tmp_path, outsiders)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [], "nothing secret is left behind"
        return done.stdout + done.stderr

    return run


def rights_of(granted: list[Access]) -> set[Right]:
    return {Right.of(one) for one in granted}


async def test_rights_become_those_of_the_registry_and_stay_so(strict: Cluster, set_access: SetAccess) -> None:
    await forbid_all(strict)
    granted = registry(strict, ["reports", "billing"])
    assert set_access("reports billing") == f"6 users; {len(granted)} rights added, 0 taken away, 0 were there\n"
    assert await rights_on(strict) == rights_of(granted)
    assert set_access("reports billing") == f"6 users; 0 rights added, 0 taken away, {len(granted)} were there\n"


async def test_what_the_registry_does_not_name_is_taken_away_and_rights_of_others_are_left_alone(
    strict: Cluster, set_access: SetAccess
) -> None:
    await forbid_all(strict)
    granted = rights_of(registry(strict))
    topic, cluster, describe_configs, deny = 2, 4, 10, 2
    mine = [
        Right.of(Access("sla", "topic", "desk.tickets.v1", "write")),
        Right.of(Access("sla", "topic", "stock.v1", "write")),
        Right.of(Access("sla", "group", "desk-", "read", prefixed=True)),
        Right(cluster, "kafka-cluster", 3, "User:sla", "*", describe_configs, 3),
        Right(topic, "desk.sla.v1", 3, "User:tickets", "10.0.0.7", 3, deny),
        *rights_of(access_of_outsider("reports", strict)),
    ]
    others = [
        Right.of(Access("warehouse", "topic", "stock.v1", "write")),
        Right.of(Access("backup", "topic", "desk.", "read", prefixed=True)),
        Right.of(Access("backup", "topic", "*", "read")),
    ]
    stray = Right.of(Access("intruder", "topic", "desk.tickets.v1", "read"))
    await allow(strict, [*granted, *mine, *others, stray])
    told = set_access()
    group = Right.of(Access("reports", "group", "reports.", "read", prefixed=True))
    assert await rights_on(strict) == {*granted, *others, group}, "an empty group gives nothing without topics"
    assert f"0 rights added, {len(mine)} taken away, {len(granted)} were there" in told
    for wide in ("PREFIXED desk.", "LITERAL *"):
        assert f"a wider right reaches these topics: User:backup READ on {wide} (ALLOW)" in told
    assert "stock.v1" not in told


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


async def test_a_password_is_set_and_set_anew(broker: StrictKafka, set_access: SetAccess) -> None:
    with pytest.raises(SaslAuthenticationFailed):
        await log_in(broker, "devlink", "first")
    odd = "with = , [brackets] \"quotes\" \\ and 'more'"
    assert "brackets" not in set_access(devlink="first", tickets=odd)
    await eventually(lambda: is_let_in(broker, "devlink", "first"))
    await eventually(lambda: is_let_in(broker, "tickets", odd))
    set_access(devlink="second", tickets=odd)
    await eventually(lambda: is_let_in(broker, "devlink", "second"))
    await log_in(broker, "tickets", odd)
    for name, password in (("devlink", "first"), ("devlink", odd), ("tickets", "second"), ("stranger", "second")):
        with pytest.raises(SaslAuthenticationFailed):
            await log_in(broker, name, password)


def test_a_cluster_that_keeps_no_rights_says_so(kafka_tools: Path, kafka_bootstrap: str, tmp_path: Path) -> None:
    done = run_script(kafka_tools, kafka_bootstrap, dict.fromkeys(services(), "of no interest"), tmp_path)
    assert done.returncode != 0
    assert "Authorizer" in done.stderr


def test_a_missing_password_is_an_error(kafka_tools: Path, strict: Cluster, tmp_path: Path) -> None:
    done = run_script(kafka_tools, strict.bootstrap, {"devlink": "-"}, tmp_path)
    assert done.returncode != 0
    assert "inventory_kafka_password" in done.stderr


async def test_the_operator_is_known_by_its_certificate(
    broker: StrictKafka, strict: Cluster, kafka_tools: Path, secrets: Path, tmp_path: Path
) -> None:
    await forbid_all(strict)
    where = {"DESK_KAFKA_SECURITY": "SSL", "DESK_KAFKA_CA_FILE": str(secrets / "kafka_ca")}
    known = {"DESK_KAFKA_CERTIFICATE_FILE": "kafka_operator", "DESK_KAFKA_KEY_FILE": "kafka_operator_key"}
    passwords = dict.fromkeys(services(), "of no interest")
    files = where | {name: str(secrets / file) for name, file in known.items()}
    done = run_script(kafka_tools, f"localhost:{broker.operator_port}", passwords, tmp_path, **files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert await rights_on(strict) == rights_of(registry(strict))
