"""The relay under everything that was seen to break one: at least once, in commit order per key, never lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import ALL_TOPICS, CLIENTS, OPEN_COPIES, TICKETS
from shared.db.transaction import begin
from shared.messaging import outgoing
from shared.messaging.hint import Hinter
from shared.messaging.kafka import Cluster, admin
from shared.messaging.outbox import publish, seal
from shared.messaging.topics import create_topics
from shared.telemetry import metrics
from tests.conftest import make_topics
from tests.shared.messaging.process import started
from tests.shared.messaging.story import (
    cause,
    first_deliveries,
    has_unsent,
    opened,
    outbox_empty,
    publish_all,
    read_topic,
    relay_of,
    require_order,
    running,
    story_of,
    ticket,
    unsent,
)
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.servers import private_kafka
from tests.support.topics import configure

Make = Callable[[str], Awaitable[Database]]


async def test_everything_arrives_once_and_in_order(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    await publish_all(db, story_of(7, 1200))
    async with running(relay_of(db, cluster)):
        records = await read_topic(cluster, TICKETS.name, 1200)
        await eventually(lambda: outbox_empty(db))
    assert len(records) == 1200
    require_order(first_deliveries(records))


async def test_a_commit_wakes_the_relay_by_the_hint(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    relay = relay_of(db, cluster)
    heard: list[object] = []
    hear = relay._hear

    def listen(*told: object) -> None:
        heard.append(told)
        hear()

    relay._hear = listen  # type: ignore[method-assign]
    hinter = Hinter(db.url, "test")
    task = asyncio.create_task(hinter.run())
    async with running(relay):
        await eventually(lambda: _leads(relay))
        for number in range(10):
            async with begin(db.engine, hinter) as tx:
                await publish(tx, seal(cause(), opened(number)))
            await eventually(lambda: outbox_empty(db))
    task.cancel()
    assert len(heard) >= 5, "hints are said after commits; a few may coincide"


async def _leads(relay: object) -> bool:
    return bool(relay.leads)  # type: ignore[attr-defined]


async def test_a_relay_killed_between_acknowledgement_and_delete_doubles_and_loses_nothing(
    database: Make, cluster: Cluster
) -> None:
    db = await database("runtime")
    await publish_all(db, story_of(5, 300))
    async with started("relay-killed-before-delete", db, cluster) as relay:
        assert await asyncio.wait_for(relay.wait(), 30) == -signal.SIGKILL
    assert await db.count("SELECT count(*) FROM runtime.outbox") == 300
    async with running(relay_of(db, cluster)):
        await eventually(lambda: outbox_empty(db))
    records = await read_topic(cluster, TICKETS.name, 600)
    assert len(records) == 600
    deliveries = first_deliveries(records)
    assert len(deliveries) == 300
    require_order(deliveries)


async def test_a_frozen_leader_is_replaced_and_does_no_harm_when_it_wakes(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    async with started("relay", db, cluster) as first:
        await publish_all(db, story_of(5, 200))
        await eventually(lambda: outbox_empty(db))
        async with running(relay_of(db, cluster)):
            os.kill(first.pid, signal.SIGSTOP)
            frozen = time.monotonic()
            await publish_all(db, story_of(5, 200, start=200))
            await eventually(lambda: outbox_empty(db), within=8, what="takeover within the eight seconds")
            while time.monotonic() - frozen < 8:
                await asyncio.sleep(0.1)  # the rest of the eight seconds
            os.kill(first.pid, signal.SIGCONT)
            await publish_all(db, story_of(5, 200, start=400))
            await eventually(lambda: outbox_empty(db))
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 600))
    assert len(deliveries) == 600
    require_order(deliveries)


async def test_one_of_two_leads_and_the_other_takes_over_after_a_kill(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    async with started("relay", db, cluster) as first:
        await publish_all(db, story_of(5, 100))
        await eventually(lambda: outbox_empty(db))
        second = relay_of(db, cluster)
        async with running(second):
            await asyncio.sleep(1.5)  # long enough for it to have asked for the lock once
            assert not second.leads
            first.kill()
            await publish_all(db, story_of(5, 100, start=100))
            await eventually(lambda: outbox_empty(db))
            assert second.leads
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 200))
    assert len(deliveries) == 200
    require_order(deliveries)


async def _oldest_waits(seconds: float) -> bool:
    waited: float = metrics.outbox_oldest_seconds._value.get()
    return waited >= seconds if seconds else waited == 0


async def test_an_outage_longer_than_the_request_timeout_loses_nothing(database: Make, tmp_path: Path) -> None:
    db = await database("runtime")
    broker = private_kafka(tmp_path / "kafka")
    broker.start()
    try:
        cluster = Cluster(broker.bootstrap, "outage.")
        await make_topics(cluster)
        relay, standby = relay_of(db, cluster), relay_of(db, cluster)
        async with running(relay):
            await publish_all(db, story_of(5, 100))
            await eventually(lambda: outbox_empty(db))
            await eventually(lambda: _oldest_waits(0))
            waiting = asyncio.create_task(standby.run())
            broker.pause()
            for round_ in range(14):
                await publish_all(db, story_of(5, 20, start=100 + 20 * round_))
                await asyncio.sleep(0.5)  # the outage lasts seven seconds, the request timeout three
            assert relay.problem
            assert not standby.leads, "an outage of the broker must not cost the lock"
            assert await _oldest_waits(3), "the age of the oldest row is told while nothing can be sent"
            broker.resume()
            await eventually(lambda: outbox_empty(db), within=40)
            await publish_all(db, story_of(5, 100, start=380))
            await eventually(lambda: outbox_empty(db), within=20, what="the partition is not stuck")
            assert relay.leads
            waiting.cancel()
        deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 480))
        assert len(deliveries) == 480
        require_order(deliveries)
    finally:
        broker.remove()


async def test_a_leader_that_cannot_reach_kafka_keeps_the_lead_and_sends_later(
    database: Make, cluster: Cluster
) -> None:
    db = await database("runtime")
    relay, standby = relay_of(db, Cluster("127.0.0.1:9", cluster.prefix)), relay_of(db, cluster)
    await publish_all(db, story_of(5, 100))
    async with running(relay):
        await eventually(lambda: _has_failed(relay, 3))
        async with running(standby):
            await eventually(lambda: _has_failed(relay, 5))
            assert relay.leads
            assert not standby.leads
            relay.cluster = relay.producers.cluster = cluster
            await eventually(lambda: outbox_empty(db))
        assert relay.problem is None


async def _has_failed(relay: Any, times: int) -> bool:
    return bool(relay._failures >= times)


async def test_a_record_that_the_broker_rejects_blocks_its_key_only(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    await configure(cluster, TICKETS.name, {"max.message.bytes": "20000"})
    # Incompressible and alone larger than the topic allows, in the middle of a batch, between others of its key.
    large = opened(50, of=3, description=os.urandom(20_000).hex())
    events = [*story_of(5, 50), large, *story_of(5, 49, start=51)]
    await publish_all(db, events)
    relay = relay_of(db, cluster)
    async with running(relay):
        await eventually(lambda: _blocked(db, 1), within=40)
        await publish_all(db, story_of(5, 50, start=100))
        await eventually(lambda: has_unsent(db, 1 + sum(number % 5 == 3 for number in range(51, 150))), within=40)
    waiting = await unsent(db)
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 150 - waiting))
    require_order(deliveries)
    assert len(deliveries) + waiting == 150
    # The operator widens the topic and lets the key go: the rest follows, in order, none skipped.
    await configure(cluster, TICKETS.name, {"max.message.bytes": "1000000"})
    async with db.begin() as tx:
        assert await outgoing.release_key(tx, TICKETS.name, str(ticket(3)))
    async with running(relay_of(db, cluster)):
        await eventually(lambda: outbox_empty(db))
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 150))
    assert len(deliveries) == 150
    require_order(deliveries)


async def test_a_row_that_no_record_can_be_made_of_blocks_its_key_only(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    await publish_all(db, story_of(5, 50))
    # What a faulty release, or somebody's hand, may have left: an instant without a place in a calendar.
    async with db.connect(OWNER) as owner:
        await owner.execute(
            "UPDATE runtime.archive SET occurred_at = '-infinity' WHERE position = "
            "(SELECT min(position) FROM runtime.outbox JOIN runtime.archive USING (position) WHERE key = $1)",
            str(ticket(3)),
        )
    async with running(relay_of(db, cluster)):
        await eventually(lambda: _blocked(db, 1), within=40)
        await eventually(lambda: has_unsent(db, 10), within=40)
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 40))
    assert len(deliveries) == 40
    require_order(deliveries)
    async with db.connect() as connection:
        assert "no record can be made of it" in await connection.fetchval("SELECT problem FROM runtime.blocked_rows")


async def _blocked(db: Database, count: int) -> bool:
    return await db.count("SELECT count(*) FROM runtime.blocked_rows") == count


async def test_rows_of_a_topic_that_does_not_exist_wait_and_hold_up_nobody(
    database: Make, kafka_bootstrap: str, cluster: Cluster
) -> None:
    empty = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    await create_topics(empty, [TICKETS, *OPEN_COPIES], partitions=3)
    db = await database("runtime")
    await publish_all(db, [ClientRecorded(id="acme", name="Acme", tier="oro"), *story_of(2, 20)])
    relay = relay_of(db, empty)
    async with running(relay):
        await eventually(lambda: has_unsent(db, 1))
        await create_topics(empty, ALL_TOPICS, partitions=3)
        await eventually(lambda: outbox_empty(db), within=30)
    async with admin(empty) as client:
        await client.delete_topics([empty.physical(topic.name) for topic in ALL_TOPICS])


async def test_a_topic_that_vanishes_holds_up_nobody_else(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    relay = relay_of(db, cluster)
    async with running(relay):
        await publish_all(db, [ClientRecorded(id="acme", name="Acme", tier="oro"), *story_of(2, 20)])
        await eventually(lambda: outbox_empty(db))
        async with admin(cluster) as client:
            await client.delete_topics([cluster.physical(CLIENTS.name)])
        await publish_all(db, [ClientRecorded(id="acme", name="Acme SA", tier="oro"), *story_of(2, 20, start=20)])
        await eventually(lambda: has_unsent(db, 1), within=40)
        await publish_all(db, story_of(2, 20, start=40))
        await eventually(lambda: has_unsent(db, 1), within=40, what="rows behind the one of the lost topic go out")
        await make_topics(cluster)
        await eventually(lambda: outbox_empty(db), within=40)


async def test_the_backend_of_the_leader_is_killed_and_it_begins_anew(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    relay = relay_of(db, cluster)
    async with running(relay):
        await publish_all(db, story_of(3, 30))
        await eventually(lambda: outbox_empty(db))
        async with db.connect() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'test relay' AND datname = current_database()"
            )
        await publish_all(db, story_of(3, 30, start=30))
        await eventually(lambda: outbox_empty(db))
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 60))
    assert len(deliveries) == 60
    require_order(deliveries)
