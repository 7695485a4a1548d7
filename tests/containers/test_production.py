"""The production overlay: rights by service, closed topics, and a cluster that loses a broker and no event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from runner.demo.desk import Desk
from runner.demo.story import Trail, play
from tests.containers.conftest import OUTSIDER, secrets_of
from tests.containers.counting import rows, settle
from tests.containers.engine import ROOT, SERVICES, Installation, docker, image_of, inspect, run
from tests.containers.login import Login
from tests.support.load import Load
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

TICKETS, ENVIRONMENTS, CLIENTS = "desk.tickets.v1", "desk.environments.v1", "desk.clients.v1"
SLA, CONTRACTS, DEVLINK = "desk.sla.v1", "desk.contracts.v1", "desk.devlink.v1"
ALL = {TICKETS, ENVIRONMENTS, CLIENTS, SLA, CONTRACTS, DEVLINK}
# Written by hand, not taken from the registry: who writes, who reads.
WRITES = {
    "tickets": {TICKETS}, "inventory": {ENVIRONMENTS, CLIENTS}, "sla": {SLA, CONTRACTS}, "devlink": {DEVLINK},
    OUTSIDER: set[str](),
}  # fmt: skip
READS = {
    "tickets": {ENVIRONMENTS, CLIENTS, SLA, CONTRACTS, DEVLINK}, "inventory": {TICKETS}, "sla": {TICKETS},
    "devlink": {TICKETS}, OUTSIDER: {ENVIRONMENTS, SLA, CONTRACTS, DEVLINK},
}  # fmt: skip
GROUPS = {**{service: f"desk-{service}" for service in SERVICES}, OUTSIDER: f"{OUTSIDER}.month-end"}
REFUSED = "TopicAuthorizationFailedError"
BROKERS = ("kafka", "kafka-2", "kafka-3")


def inside(
    production: Installation, program: str, settings: dict[str, str], *, files: tuple[str, ...] = ("kafka_ca",)
) -> Any:
    """What a program of this folder prints when it runs in a container of the closed network."""
    mounts = [
        word for name in files for word in ("--volume", f"{secrets_of(production) / name}:/run/secrets/{name}:ro")
    ]
    variables = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    words = ["run", "--rm", "-i", "--network", f"{production.project}_inside", *mounts, *variables]
    source = (ROOT / "tests" / "containers" / program).read_text(encoding="utf-8")
    done = run("docker", *words, "--entrypoint", "python", image_of("tickets"), "-", text=source, within=400)
    return json.loads(done.stdout.strip().splitlines()[-1])


def as_user(production: Installation, name: str, password: str | None = None) -> dict[str, str]:
    """The settings of somebody who comes in with a name and a password."""
    known = (secrets_of(production) / f"{name}_kafka_password").read_text(encoding="utf-8").strip()
    return {
        "DESK_KAFKA_BOOTSTRAP": "kafka:9092,kafka-2:9092,kafka-3:9092",
        "DESK_KAFKA_SECURITY": "SASL_SSL",
        "DESK_KAFKA_CA_FILE": "/run/secrets/kafka_ca",
        "DESK_KAFKA_USERNAME": name,
        "DESK_KAFKA_PASSWORD": password or known,
    }


def log_of(production: Installation) -> dict[str, list[str]]:
    """Every event id in the log of every topic, read as the operator."""
    settings = {
        "DESK_KAFKA_BOOTSTRAP": "kafka:9094,kafka-2:9094,kafka-3:9094",
        "DESK_KAFKA_SECURITY": "SSL",
        "DESK_KAFKA_CA_FILE": "/run/secrets/kafka_ca",
        "DESK_KAFKA_CERTIFICATE_FILE": "/run/secrets/kafka_operator",
        "DESK_KAFKA_KEY_FILE": "/run/secrets/kafka_operator_key",
    }
    files = ("kafka_ca", "kafka_operator", "kafka_operator_key")
    found: dict[str, list[str]] = inside(production, "log.py", settings, files=files)
    return found


def wait_until_sent(production: Installation) -> None:
    """Until everything that was committed so far has been sent, by every service."""
    wait_until(
        lambda: all(rows(production, one, "SELECT count(*) FROM runtime.outbox") == [["0"]] for one in SERVICES), 60
    )


def archive_of(production: Installation) -> dict[str, set[str]]:
    """Every event id in the archive of every topic's writer."""
    return {
        topic: {row[0] for row in rows(production, service, f"SELECT id FROM runtime.archive WHERE topic = '{topic}'")}
        for service in SERVICES
        for topic in sorted(WRITES[service])
    }


@pytest.fixture(scope="module")
def filled(production: Installation) -> Installation:
    """With clients and contracts, loaded as an administrator does."""
    for service in ("inventory", "sla"):
        seed = Path(ROOT / "deploy" / "seed" / f"{service}.yaml").read_text(encoding="utf-8")
        shell = f"cat > /tmp/seed.yaml && python -m {service} load /tmp/seed.yaml"
        docker("exec", "-i", production.one(f"{service}-api"), "sh", "-c", shell, text=seed)
    wait_until_sent(production)
    wait_until(lambda: rows(production, "tickets", "SELECT count(*) > 3 FROM tickets.contracts") == [["t"]], 60)
    return production


@pytest.mark.parametrize("service", SERVICES)
def test_the_settings_are_fit_for_production_and_no_secret_is_in_the_environment(
    production: Installation, service: str
) -> None:
    container = production.one(f"{service}-api")
    told = docker("exec", container, "python", "-m", service, "config", "check")
    assert "DESK_KAFKA_SECURITY" in told
    assert "nothing to refuse" in told
    environment = docker("exec", container, "env")
    for secret in secrets_of(production).glob(f"{service}_*"):
        assert secret.read_text(encoding="utf-8").strip() not in environment, secret.name


async def test_the_demo_plays_and_every_service_writes_its_topics(filled: Installation, login: Login) -> None:
    trail = Trail()
    urls = {service: filled.address(f"{service}-api") for service in SERVICES}
    async with Desk(urls, login.token) as desk:
        await play(desk, trail, lambda what: None)
    assert trail.view["status"] == "closed"
    log = await asyncio.to_thread(log_of, filled)
    assert {topic for topic, ids in log.items() if ids} == ALL, "each has been written by its owner"


@pytest.mark.parametrize("name", [*SERVICES, OUTSIDER])
def test_a_principal_may_do_what_it_needs_and_nothing_else(filled: Installation, name: str) -> None:
    forbidden = sorted(ALL - WRITES[name])
    asked = {"write": forbidden, "read": sorted(ALL), "join": sorted({*GROUPS.values(), "another"})}
    settings = {**as_user(filled, name), "ASKED": json.dumps(asked)}
    told = inside(filled, "probe.py", settings)
    assert told["write"] == dict.fromkeys(forbidden, REFUSED)
    assert {topic for topic, outcome in told["read"].items() if outcome == "allowed"} == READS[name]
    assert {outcome for topic, outcome in told["read"].items() if topic not in READS[name]} <= {REFUSED}
    assert {group for group, outcome in told["join"].items() if outcome == "allowed"} == {GROUPS[name]}
    assert told["create"] == REFUSED
    assert "Authorization" in told["see rights"]


def test_a_wrong_password_an_unknown_name_and_a_plain_connection_get_nowhere(filled: Installation) -> None:
    asked = {"ASKED": json.dumps({"write": [], "read": [], "join": []})}
    for settings in (
        as_user(filled, "sla", password="guessed"),
        {**as_user(filled, "sla"), "DESK_KAFKA_USERNAME": "stranger"},
        {"DESK_KAFKA_BOOTSTRAP": "kafka:9092"},
        # The brokers' own listener asks for a certificate.
        {**as_user(filled, "sla"), "DESK_KAFKA_SECURITY": "SSL", "DESK_KAFKA_BOOTSTRAP": "kafka:9094"},
    ):
        told = inside(filled, "probe.py", {**settings, **asked})
        assert "allowed" not in (told["create"], told["see rights"]), settings
        assert told["create"] in ("KafkaConnectionError", "TimeoutError"), told


def test_setting_the_rights_again_changes_nothing(filled: Installation) -> None:
    filled.compose("up", "--no-deps", "--force-recreate", "--detach", "access")
    container = next(one for one in filled.containers() if filled.name_of(one) == "access")
    wait_until(lambda: inspect(container)["State"]["Status"] == "exited", 60)
    assert docker("logs", container).splitlines()[-1] == "5 users; 0 rights added, 0 taken away, 23 were there"


async def test_a_broker_is_lost_under_load_and_no_event_with_it(
    filled: Installation, login: Login, figures: dict[str, float | str]
) -> None:
    load = Load([filled.address("tickets-api")], login.token("supervisor"), per_second=10)
    killed = filled.one("kafka-2")
    async with load.running():
        await asyncio.sleep(5)  # the load that is under way when the broker dies
        await asyncio.to_thread(docker, "kill", killed)
        before = len(load.accepted)
        await asyncio.sleep(20)  # how long two brokers carry the load
        during = len(load.accepted) - before
        await asyncio.to_thread(docker, "start", killed)
        await asyncio.sleep(10)  # how long the third one catches up under load
    assert load.failed == 0, "opening does not wait for Kafka"
    assert during > 100
    tickets = await settle(filled, load.accepted)
    # Time goes on causing events: what is archived first must be in the log, what is in the log must be archived later.
    committed = await asyncio.to_thread(archive_of, filled)
    await asyncio.to_thread(wait_until_sent, filled)
    log = await asyncio.to_thread(log_of, filled)
    committed_later = await asyncio.to_thread(archive_of, filled)
    for topic, archived in committed.items():
        # A compacted topic keeps the last record of each key only, so that an older one may be gone.
        lost = archived - set(log[topic]) if topic not in (CLIENTS, CONTRACTS) else set()
        assert lost == set(), f"{topic} lost {len(lost)} of {len(archived)} events"
        assert set(log[topic]) <= committed_later[topic], f"{topic} holds what was never committed"
    events = sum(len(archived) for archived in committed.values())
    doubled = sum(len(ids) - len(set(ids)) for ids in log.values())
    figures["a broker lost under load"] = (
        f"{len(load.accepted)} tickets accepted, {during} of them while it was away, 0 refused; "
        f"{tickets} tickets and {events} events counted, 0 lost, {doubled} sent twice"
    )
