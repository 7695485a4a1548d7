"""What `make verify` runs: processes and servers die under load, and afterwards everything is counted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.counting import settle_and_count
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.servers import private_kafka, private_postgres
from tests.support.system import PARTS, SERVICES, System

pytestmark = [pytest.mark.verify, pytest.mark.timeout(900)]


def load_on(system: System, per_second: float) -> Load:
    """Callers of all of the system's apis; every third ticket is escalated to Development."""
    urls = [api.url for api in system.all("tickets", "api")]
    return Load(urls, system.token("supervisor"), per_second, escalating=3)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[System]:
    """A system on servers of its own, which a test may kill."""
    postgres, kafka = private_postgres(tmp_path / "postgres"), private_kafka(tmp_path / "kafka")
    postgres.start()
    kafka.start()
    try:
        with System(tmp_path, postgres.url, kafka.bootstrap) as system:
            system.kafka = kafka
            yield system
    finally:
        kafka.remove()
        postgres.remove()


@pytest.fixture
def doubled(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> Iterator[System]:
    """Two relays and three consumers of every service, two apis."""
    copies = {"api": 2, "consumer": 3, "relay": 2}
    with System(tmp_path, postgres_url, kafka_bootstrap, copies=copies) as system:
        yield system


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("service", SERVICES)
async def test_any_process_is_killed_under_load(system: System, service: str, part: str) -> None:
    load = load_on(system, per_second=10)
    async with load.running():
        await asyncio.sleep(1)  # some load before
        process = system.one(service, part)
        process.kill()
        await asyncio.sleep(2)  # the outage of this process
        process.start()
        await asyncio.sleep(2)  # some load after
    system.wait_until_ready()
    assert load.accepted
    await settle_and_count(system, load.accepted)


async def test_one_of_two_relays_and_one_of_three_consumers_are_killed(doubled: System) -> None:
    load = load_on(doubled, per_second=10)
    async with load.running():
        await asyncio.sleep(2)  # some load before
        for service in SERVICES:
            doubled.processes[service, "relay"][0].kill()
            doubled.processes[service, "consumer"][0].kill()
        await asyncio.sleep(8)  # the others take over under load
    await settle_and_count(doubled, load.accepted)


async def test_a_leader_is_frozen_for_a_minute(doubled: System) -> None:
    load = load_on(doubled, per_second=5)
    frozen = [doubled.processes[service, "relay"][0] for service in SERVICES]
    async with load.running():
        await asyncio.sleep(2)  # some load before
        for process in frozen:
            process.pause()
        await asyncio.sleep(60)  # longer than every timeout on the way
        for process in frozen:
            process.resume()
        await asyncio.sleep(5)  # the frozen ones wake into a world that went on
    await settle_and_count(doubled, load.accepted)


async def test_the_broker_is_off_for_half_a_minute_under_load(private: System) -> None:
    load = load_on(private, per_second=10)
    async with load.running():
        await asyncio.sleep(2)  # some load before
        private.kafka.kill()
        before = len(load.accepted)
        await asyncio.sleep(30)  # the outage
        during = len(load.accepted) - before
        private.kafka.start()
        await asyncio.sleep(5)  # some load after
    assert during > 200, "HTTP goes on accepting without a broker"
    assert load.failed == 0
    await settle_and_count(private, load.accepted)


async def test_a_rolling_restart_under_load(doubled: System) -> None:
    load = load_on(doubled, per_second=8)
    order = list(doubled.all())
    random.Random(3).shuffle(order)
    async with load.running():
        for process in order:
            await asyncio.to_thread(process.stop)
            process.start()
            await eventually(partial(asyncio.to_thread, process.is_ready), within=60)
    await settle_and_count(doubled, load.accepted)
