"""compose.yaml as somebody tries it out: up, the demo, processes killed and back, two of each, down."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys

import httpx2
import pytest

from runner.demo.elsewhere import Elsewhere
from tests.containers.engine import Installation, crash, docker, inspect, run, wait_until_ready
from tests.deploy.files import PARTS, SERVICES
from tests.support.counting import settle_and_count
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1800)

# One of each kind, of four different services.
ONE_OF_EACH = [("tickets", "api"), ("sla", "consumer"), ("inventory", "relay"), ("devlink", "jobs")]
# So many tickets that each of two consumers is surely given some: their partitions are chosen by their ids.
ENOUGH_FOR_TWO = 40
METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8000/metrics", timeout=5).read().decode())
"""


def secret_of(trial: Installation) -> str:
    """What the development issuer gives tokens for."""
    return docker("exec", trial.one("issuer"), "cat", "/tmp/desk/issuer/secret")


def elsewhere(trial: Installation) -> dict[str, str]:
    """The environment in which `desk demo` plays against these containers."""
    return {
        **os.environ,
        "DESK_TOKENS_FROM": trial.address("issuer", port=8490),
        "DESK_CLIENT_SECRET": secret_of(trial),
        **{f"DESK_{service.upper()}_URL": trial.address(f"{service}-api") for service in SERVICES},
    }


def play(trial: Installation) -> str:
    """What `make demo` says; it fails when a reaction does not come."""
    return run(sys.executable, "-m", "runner.cli", "demo", env=elsewhere(trial), within=300).stdout


def token(trial: Installation) -> str:
    """An access token of a supervisor."""
    return Elsewhere(trial.address("issuer", port=8490), secret_of(trial), {}).token_of("supervisor")


def relays_of(trial: Installation, service: str) -> tuple[bool, int]:
    """What the service's own command says: whether a relay leads, and how many stand by."""
    words = ["exec", trial.one(f"{service}-relay"), "python", "-m", service, "messaging", "leader"]
    told = json.loads(docker(*words))
    return told["leader"] is not None, told["standing_by"]


def applied_by(trial: Installation, service: str) -> list[float]:
    """How many events each consumer of a service has applied since it started."""
    told = [docker("exec", "-i", each, "python", "-", text=METRICS) for each in trial.of(f"{service}-consumer")]
    return [
        sum(float(value) for value in re.findall(r"^desk_consumer_applied_total\S* (\S+)$", text, re.MULTILINE))
        for text in told
    ]


def test_every_process_of_every_service_is_well_and_what_runs_once_has_ended(trial: Installation) -> None:
    found = {trial.name_of(container): inspect(container)["State"] for container in trial.containers()}
    assert {f"{service}-{part}" for service in SERVICES for part in PARTS} <= set(found)
    ended = {name: state["ExitCode"] for name, state in found.items() if state["Status"] == "exited"}
    once = {"databases", "topics", "inventory-demo", "sla-demo", *[f"{service}-migrate" for service in SERVICES]}
    assert ended == dict.fromkeys(once, 0)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("part", PARTS)
def test_a_process_runs_without_any_privilege(trial: Installation, service: str, part: str) -> None:
    container = trial.one(f"{service}-{part}")
    assert inspect(container)["HostConfig"]["ReadonlyRootfs"] is True
    status = dict(
        line.split(":\t", 1)
        for line in docker("exec", container, "cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert {status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert status["NoNewPrivs"] == "1"
    for place in ("/", "/opt/app", "/etc", "/run/secrets"):
        assert run("docker", "exec", container, "touch", f"{place}/x", check=False).returncode != 0, place
    environment = docker("exec", container, "env")
    assert "postgresql://" not in environment, "a secret in the environment is seen by everything"


def test_the_demo_plays_against_it(trial: Installation) -> None:
    assert "T-000001 closed" in play(trial)


def test_the_databases_let_nobody_else_in(trial: Installation) -> None:
    query = "SELECT datname, datacl::text AS rights FROM pg_database WHERE datname LIKE 'desk_%' ORDER BY 1"
    found = {row["datname"]: row["rights"] for row in trial.ask("tickets", query)}
    assert found == {
        f"desk_{service}": "{desk_%_owner=CTc/desk_%_owner,desk_%_service=c/desk_%_owner}".replace("%", service)
        for service in SERVICES
    }


@pytest.mark.parametrize(("service", "part"), ONE_OF_EACH)
def test_a_process_that_dies_is_started_again(trial: Installation, service: str, part: str) -> None:
    container = trial.one(f"{service}-{part}")
    before = inspect(container)
    crash(container)

    def is_another() -> bool:
        now = inspect(container)
        return bool(now["RestartCount"] > before["RestartCount"] and now["State"]["Running"])

    wait_until(is_another, 60)
    wait_until_ready(container)


async def test_nothing_is_lost_while_one_of_each_kind_is_killed_and_comes_back(trial: Installation) -> None:
    load = Load([trial.address("tickets-api")], token(trial), per_second=5)
    async with load.running():
        for service, part in ONE_OF_EACH[1:]:
            container = trial.one(f"{service}-{part}")
            await asyncio.to_thread(docker, "kill", container)
            # What `docker kill` ends counts as wanted: it stays down until compose is told again.
            await asyncio.to_thread(wait_until, lambda at=container: not inspect(at)["State"]["Running"])
            await asyncio.to_thread(trial.compose, "up", "--detach", "--no-deps", f"{service}-{part}")
            await asyncio.to_thread(wait_until_ready, trial.one(f"{service}-{part}"))
    assert load.failed == 0, "opening needs none of those that were killed"
    assert len(load.accepted) > 50
    await settle_and_count(trial, load.accepted, within=240)


def test_an_api_that_is_killed_is_back_on_its_port(trial: Installation) -> None:
    container, address = trial.one("tickets-api"), trial.address("tickets-api")
    docker("kill", container)
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{address}/livez", trust_env=False)
    trial.compose("up", "--detach", "--no-deps", "tickets-api")
    wait_until_ready(trial.one("tickets-api"))
    assert "closed" in play(trial)


def test_two_of_each_share_the_work_and_one_relay_leads(trial: Installation) -> None:
    scaled = [word for service in SERVICES for part in PARTS for word in ("--scale", f"{service}-{part}=2")]
    trial.compose("up", "--detach", *scaled)
    trial.wait_until_well()
    for service in SERVICES:
        for part in PARTS:
            assert len(trial.of(f"{service}-{part}")) == 2, f"{service}-{part}"
        addresses = {trial.address(f"{service}-api", copy) for copy in (0, 1)}
        assert len(addresses) == 2
        for address in addresses:
            assert httpx2.get(f"{address}/readyz", trust_env=False).status_code == 200
        assert relays_of(trial, service) == (True, 1), f"one relay of {service} leads, the other stands by"
    assert "closed" in play(trial)


async def test_both_consumers_of_a_service_apply_events(trial: Installation) -> None:
    reacting = ("inventory", "sla")
    before = {service: await asyncio.to_thread(applied_by, trial, service) for service in reacting}
    assert {service: len(counts) for service, counts in before.items()} == dict.fromkeys(reacting, 2)
    load = Load([trial.address("tickets-api", copy) for copy in (0, 1)], token(trial), per_second=10)

    async def enough() -> bool:
        return len(load.accepted) >= ENOUGH_FOR_TWO

    async with load.running():
        await eventually(enough, within=60, what="tickets")
    await settle_and_count(trial, load.accepted, within=240)
    for service in reacting:
        after = await asyncio.to_thread(applied_by, trial, service)
        done = [now - earlier for now, earlier in zip(after, before[service], strict=True)]
        assert min(done) > 0, f"both consumers of {service} hold partitions: {done}"
        assert sum(done) >= len(load.accepted)


def test_down_leaves_nothing_behind(trial: Installation) -> None:
    trial.down()
    label = f"label=com.docker.compose.project={trial.project}"
    assert docker("ps", "--all", "--quiet", "--filter", label) == ""
    assert docker("volume", "ls", "--quiet", "--filter", label) == ""
    assert docker("network", "ls", "--quiet", "--filter", label) == ""
