"""The production overlay: rights by service, closed topics, and a cluster that loses a broker and no event."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from runner.demo.desk import Desk
from runner.demo.story import Trail, play
from shared.messaging.access import registry
from shared.messaging.kafka import Cluster
from tests.containers.conftest import OUTSIDER, secrets_of
from tests.containers.engine import Installation, docker, image_of, inspect, run
from tests.containers.login import Login
from tests.deploy.files import ROOT, SERVICES
from tests.support.counting import settle_and_count, without_reactions
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1800)

TICKETS, ENVIRONMENTS, CLIENTS = "desk.tickets.v1", "desk.environments.v1", "desk.clients.v1"
SLA, CONTRACTS, DEVLINK = "desk.sla.v1", "desk.contracts.v1", "desk.devlink.v1"
ALL = {TICKETS, ENVIRONMENTS, CLIENTS, SLA, CONTRACTS, DEVLINK}
# They keep the newest event of each key only, so that older ones may be gone.
COMPACTED = {CLIENTS, CONTRACTS}
# What lies beside them: the same without what is personal, and what an owner tells again.
TICKET_FACTS, TASK_FACTS = "desk.ticket-facts.v1", "desk.dev-task-facts.v1"
REPLAY = {service: f"desk.{service}.replay.v1" for service in SERVICES}
BESIDE = {TICKET_FACTS, TASK_FACTS, *REPLAY.values()}
# Written by hand, not taken from the registry: who writes, who reads. An owner reads what it wrote, to compare it with
# its archive; what is told again only whoever projects it.
WRITES = {
    "tickets": {TICKETS, TICKET_FACTS}, "inventory": {ENVIRONMENTS, CLIENTS}, "sla": {SLA, CONTRACTS},
    "devlink": {DEVLINK, TASK_FACTS}, OUTSIDER: set[str](),
}  # fmt: skip
READS = {
    "tickets": ALL | {REPLAY["inventory"], REPLAY["sla"], REPLAY["devlink"]},
    "inventory": {ENVIRONMENTS, CLIENTS, TICKETS}, "sla": {SLA, CONTRACTS, TICKETS}, "devlink": {DEVLINK, TICKETS},
    OUTSIDER: {ENVIRONMENTS, SLA, CONTRACTS, TICKET_FACTS, TASK_FACTS},
}  # fmt: skip
GROUPS = {**{service: f"desk-{service}" for service in SERVICES}, OUTSIDER: f"{OUTSIDER}.month-end"}
REFUSED = "TopicAuthorizationFailedError"

# Key and id of events, of each key the oldest first.
Events = list[tuple[str, str]]


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


def as_operator(production: Installation, program: str) -> Any:
    """What a program of this folder prints that comes in by the operator's certificate."""
    settings = {
        "DESK_KAFKA_BOOTSTRAP": "kafka:9094,kafka-2:9094,kafka-3:9094",
        "DESK_KAFKA_SECURITY": "SSL",
        "DESK_KAFKA_CA_FILE": "/run/secrets/kafka_ca",
        "DESK_KAFKA_CERTIFICATE_FILE": "/run/secrets/kafka_operator",
        "DESK_KAFKA_KEY_FILE": "/run/secrets/kafka_operator_key",
    }
    return inside(production, program, settings, files=("kafka_ca", "kafka_operator", "kafka_operator_key"))


def log_of(production: Installation) -> dict[str, Events]:
    """Every event in the log of every topic."""
    found = as_operator(production, "log.py")
    return {topic: [(key, event) for key, event in events] for topic, events in found.items()}


def wait_until_sent(production: Installation) -> None:
    """Until everything that was committed so far has been sent, by every service."""
    query = "SELECT count(*) FROM runtime.outbox"
    wait_until(lambda: all(production.ask(one, query) == [{"count": 0}] for one in SERVICES), 60)


def archive_of(production: Installation) -> dict[str, Events]:
    """Every event in the archive of every topic's writer."""
    found: dict[str, Events] = {topic: [] for topic in ALL}
    for service in SERVICES:
        for row in production.ask(service, "SELECT topic, key, id FROM runtime.archive ORDER BY position"):
            assert row["topic"] in WRITES[service]
            found[row["topic"]].append((row["key"], row["id"]))
    return found


def kept(topic: str, events: Events) -> Events:
    """What a topic must still hold of these events."""
    return list(dict(events).items()) if topic in COMPACTED else events


@pytest.fixture(scope="module")
def filled(production: Installation) -> Installation:
    """With clients and contracts, loaded as an administrator does."""
    for service in ("inventory", "sla"):
        seed = Path(ROOT / "deploy" / "seed" / f"{service}.yaml").read_text(encoding="utf-8")
        shell = f"cat > /tmp/seed.yaml && python -m {service} load /tmp/seed.yaml"
        docker("exec", "-i", production.one(f"{service}-api"), "sh", "-c", shell, text=seed)
    wait_until_sent(production)
    query = "SELECT count(*) > 3 AS are_there FROM tickets.contracts"
    wait_until(lambda: production.ask("tickets", query) == [{"are_there": True}], 60)
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
    assert {topic for topic, events in log.items() if events} == ALL, "each has been written by its owner"


def test_every_partition_is_on_three_brokers_and_two_must_have_what_is_sent(filled: Installation) -> None:
    found = as_operator(filled, "cluster.py")
    assert set(found) >= ALL | BESIDE
    assert {topic: (set(replicas), least) for topic, (replicas, least) in found.items()} == dict.fromkeys(
        found, ({3}, "2")
    )


@pytest.mark.parametrize("name", [*SERVICES, OUTSIDER])
def test_a_principal_may_do_what_it_needs_and_nothing_else(filled: Installation, name: str) -> None:
    everything = ALL | BESIDE
    forbidden = sorted(everything - WRITES[name] - {REPLAY.get(name)})
    asked = {"write": forbidden, "read": sorted(everything), "join": sorted({*GROUPS.values(), "another"})}
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
    told = docker("logs", container).splitlines()[-1]
    rights = len(registry(Cluster("never:9092"), [OUTSIDER]))
    assert told == f"5 users; 0 rights added, 0 taken away, {rights} were there"


async def test_a_broker_is_lost_under_load_and_no_event_with_it(
    filled: Installation, login: Login, figures: dict[str, float | str]
) -> None:
    load = Load([filled.address("tickets-api")], login.token("supervisor"), per_second=10)
    killed = filled.one("kafka-2")
    async with load.running():
        await asyncio.sleep(5)  # the load that is under way when the broker dies
        await asyncio.to_thread(docker, "kill", killed)
        before = len(load.accepted)
        await asyncio.sleep(10)  # two brokers carry the load
        early = load.accepted[before:]
        waited = await until_reacted(filled, early)
        await asyncio.sleep(10)  # and go on carrying it
        during = len(load.accepted) - before
        assert not inspect(killed)["State"]["Running"], "all this time it was away"
        await asyncio.to_thread(docker, "start", killed)
        await asyncio.sleep(10)  # how long the third one catches up under load
    assert load.failed == 0, "opening does not wait for Kafka"
    assert during > 100
    tickets = await settle_and_count(filled, load.accepted, within=240)
    events, doubled = await require_every_event_in_the_log(filled)
    figures["a broker lost under load"] = (
        f"{len(load.accepted)} tickets accepted, {during} of them while it was away, 0 refused; the first {len(early)} "
        f"of these had their reactions {waited:.0f} s later, before it was back; {tickets} tickets and {events} events "
        f"compared, 0 lost, {doubled} sent twice"
    )


async def until_reacted(production: Installation, tickets: list[str]) -> float:
    """Waits until all these tickets have their environment and both clocks; how many seconds that took."""
    assert len(tickets) > 50
    began = time.monotonic()

    async def all_reacted() -> bool:
        return not await without_reactions(production) & set(tickets)

    await eventually(all_reacted, within=90, what=f"reactions to {len(tickets)} tickets while a broker is away")
    return time.monotonic() - began


async def require_every_event_in_the_log(production: Installation) -> tuple[int, int]:
    """Compares archives and log: how many archived events were compared, and how many were sent twice."""
    # Time goes on causing events: what is archived first must be in the log, what is in the log must be archived later.
    committed = await asyncio.to_thread(archive_of, production)
    await asyncio.to_thread(wait_until_sent, production)
    log = await asyncio.to_thread(log_of, production)
    committed_later = await asyncio.to_thread(archive_of, production)
    for topic, archived in committed.items():
        lost = set(kept(topic, archived)) - set(kept(topic, log[topic]))
        assert lost == set(), f"{topic} lost {len(lost)} of {len(archived)} events"
        assert set(log[topic]) <= set(committed_later[topic]), f"{topic} holds what was never committed"
    compared = sum(len(kept(topic, archived)) for topic, archived in committed.items())
    return compared, sum(len(events) - len(set(events)) for events in log.values())
