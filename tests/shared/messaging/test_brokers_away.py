"""Brokers that are away keep no process from ending, and are found again wherever they come back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from runner.kafka import EmbeddedKafka
from runner.ports import LOOPBACK, free_port
from shared.messaging import courtesies, framing
from shared.messaging.kafka import Cluster
from tests.conftest import make_topics
from tests.shared.messaging.story import (
    consumer_of,
    first_deliveries,
    opened,
    outbox_empty,
    publish_all,
    read_topic,
    relay_of,
    running,
    send,
)
from tests.shared.messaging.test_consumer import applied, prepared, require_each_once, story_of
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.parts import started
from tests.support.proxy import Proxy
from tests.support.servers import private_kafka

Make = Callable[[str], Awaitable[Database]]

# Far more than an orderly end takes, far less than a client's own patience.
ENDS_WITHIN = 20


@asynccontextmanager
async def broker_of(folder: Path) -> AsyncIterator[EmbeddedKafka]:
    broker = private_kafka(folder)
    broker.start()
    try:
        await make_topics(Cluster(broker.bootstrap))
        yield broker
    finally:
        broker.remove()


async def _is_ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize("how", ["killed", "frozen"])
@pytest.mark.parametrize("part", ["relay", "consumer"])
async def test_a_part_ends_when_it_is_asked_to_although_kafka_is_away(
    database: Make, tmp_path: Path, part: str, how: str
) -> None:
    db = await database("tickets")
    async with broker_of(tmp_path / "kafka") as broker:
        cluster = Cluster(broker.bootstrap)
        async with started("tickets", part, db, cluster) as (process, http):
            await eventually(lambda: _is_ready(http))
            broker.kill() if how == "killed" else broker.pause()
            await publish_all(db, [opened(1)])
            await asyncio.sleep(2)  # in the middle of waiting for Kafka
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), ENDS_WITHIN) == 0
        broker.resume()


@asynccontextmanager
async def moving(folder: Path) -> AsyncIterator[tuple[EmbeddedKafka, Cluster, Callable[[], None]]]:
    """A broker behind one lasting address, and a function that lets it come back under another of its own."""
    async with broker_of(folder) as broker:
        door = Proxy(LOOPBACK, broker.port)

        def move() -> None:
            broker.kill()
            broker._port = free_port()
            broker.start()
            door.server = (LOOPBACK, broker.port)

        async with door.running():
            yield broker, Cluster(f"{LOOPBACK}:{door.port}"), move


async def test_a_relay_finds_brokers_that_come_back_under_other_addresses(database: Make, tmp_path: Path) -> None:
    db = await database("runtime")
    async with moving(tmp_path / "kafka") as (_, cluster, move):
        async with running(relay_of(db, cluster, request_timeout_seconds=1)):
            await publish_all(db, [opened(number) for number in range(20)])
            await eventually(lambda: outbox_empty(db))
            await asyncio.to_thread(move)
            await publish_all(db, [opened(number) for number in range(20, 40)])
            await eventually(lambda: outbox_empty(db), within=60)
        assert len(first_deliveries(await read_topic(cluster, "desk.tickets.v1", 40))) == 40


async def test_a_consumer_finds_brokers_that_come_back_under_other_addresses(
    database: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "METADATA_MS", 1000)
    monkeypatch.setattr(courtesies, "STALE_SECONDS", 3.0)
    db = await prepared(database)
    async with moving(tmp_path / "kafka") as (_, cluster, move):
        await send(cluster, *story_of(3, 30))
        async with running(consumer_of(db, cluster)):
            await eventually(lambda: applied(db, 30))
            await asyncio.to_thread(move)
            await send(cluster, *story_of(3, 30, start=30))
            await eventually(lambda: applied(db, 60), within=60)
        await require_each_once(db, 60)
