"""The consumer under everything that was seen to break one: each event applied exactly once, in order per key."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.contracts.envelope import Received
from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import TICKETS
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.messaging import offsets
from shared.messaging.kafka import Cluster, end_offsets
from shared.messaging.replicas import unfilled_replicas
from tests.shared.messaging.process import started
from tests.shared.messaging.story import (
    assigned,
    consumer_of,
    count_effect,
    count_effects,
    effects,
    message,
    opened,
    prepare_effects,
    reactions,
    require_order_per_key,
    running,
    send,
)
from tests.support.databases import Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]


async def prepared(database: Make) -> Database:
    db = await database("runtime")
    await prepare_effects(db)
    return db


async def applied(db: Database, count: int) -> bool:
    return await db.count("SELECT count(*) FROM public.effects") >= count


def story_of(tickets: int, events: int, start: int = 0) -> list[Any]:
    return [message(opened(number, of=number % tickets), number + 1) for number in range(start, start + events)]


async def require_each_once(db: Database, count: int) -> None:
    rows = await effects(db)
    assert len(rows) == count
    assert len({row["event_id"] for row in rows}) == count
    require_order_per_key(rows)


async def test_one_of_several_brokers_that_are_named_is_enough(database: Make, cluster: Cluster) -> None:
    """A cluster is named by several addresses, and the first of them may be the one that is down."""
    db = await prepared(database)
    await send(cluster, *story_of(2, 10))
    several = Cluster(f"127.0.0.1:9, {cluster.bootstrap}", cluster.prefix)
    async with running(consumer_of(db, several, reactions())):
        await eventually(lambda: applied(db, 10))


async def test_each_event_is_applied_once_and_in_order(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(9, 1500))
    async with running(consumer_of(db, cluster, reactions(many=True))):
        await eventually(lambda: applied(db, 1500))
    await require_each_once(db, 1500)


async def test_a_run_of_many_never_breaks_the_order_of_a_key(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    mixed = [
        message(assigned(number, of=number % 4) if number % 3 else opened(number, of=number % 4), number + 1)
        for number in range(600)
    ]
    await send(cluster, *mixed)
    async with running(consumer_of(db, cluster, reactions(many=True))):
        await eventually(lambda: applied(db, 600))
    await require_each_once(db, 600)


async def test_doubled_messages_have_one_effect(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    once = story_of(5, 300)
    await send(cluster, *once, *once[200:], *once)
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: reached_end(db, cluster))
    await require_each_once(db, 300)


async def reached_end(db: Database, cluster: Cluster) -> bool:
    ends = await end_offsets(cluster, [TICKETS.name])
    async with db.connect() as connection:
        rows = await connection.fetch("SELECT * FROM runtime.offsets WHERE topic = $1", TICKETS.name)
    stored = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    return stored == ends


async def test_a_consumer_killed_in_mid_batch_repeats_and_loses_nothing(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 1400))
    async with started("consumer-killed-in-batch", db, cluster) as process:
        assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    before = await db.count("SELECT count(*) FROM public.effects")
    assert 0 < before < 1400
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 1400))
    await require_each_once(db, 1400)


async def test_a_consumer_frozen_in_mid_batch_is_replaced_and_its_late_batch_has_no_effect(
    database: Make, cluster: Cluster
) -> None:
    """It holds the locks of its offsets' rows until PostgreSQL ends its transaction."""
    db = await prepared(database)
    await send(cluster, *story_of(6, 1400))
    async with started("consumer-frozen-in-batch", db, cluster) as process:

        async def is_frozen() -> bool:
            return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)

        await eventually(is_frozen)
        async with running(consumer_of(db, cluster)):
            await eventually(lambda: applied(db, 1400))
            os.kill(process.pid, signal.SIGCONT)
            await send(cluster, *story_of(6, 300, start=1400))
            await eventually(lambda: applied(db, 1700))
    await require_each_once(db, 1700)


async def test_records_delivered_before_the_seek_do_not_count(
    database: Make, cluster: Cluster, monkeypatch: Any
) -> None:
    """The group's committed offsets are ahead of the database and its offsets load slowly: nothing may be skipped."""
    db = await prepared(database)
    await send(cluster, *story_of(6, 900))
    await commit_for_the_group(cluster, 250)
    async with db.connect() as connection:
        # A restored database; without these rows every batch would be refused anyway.
        await connection.execute(
            "INSERT INTO runtime.offsets SELECT $1, number, 0 FROM generate_series(0, 2) AS number", TICKETS.name
        )
    load = offsets.load

    async def slowly(*arguments: Any) -> Any:
        await asyncio.sleep(1.5)  # time for records to be delivered before the offsets are known
        return await load(*arguments)

    monkeypatch.setattr(offsets, "load", slowly)
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 900))
    await require_each_once(db, 900)


async def commit_for_the_group(cluster: Cluster, offset: int) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, group_id=cluster.physical("desk-test"), enable_auto_commit=False
    )
    await consumer.start()
    partitions = [TopicPartition(cluster.physical(TICKETS.name), number) for number in range(3)]
    consumer.assign(partitions)
    await consumer.commit({partition: OffsetAndMetadata(offset, "") for partition in partitions})
    await consumer.stop()


async def test_a_rebalance_waits_for_the_batch_in_flight(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    at_once: set[str] = set()
    overlaps: list[str] = []

    async def slow(tx: Transaction, event: Received[Any]) -> None:
        if event.key in at_once:
            overlaps.append(event.key)
        at_once.add(event.key)
        try:
            await asyncio.sleep(0.005)  # long enough for a rebalance to begin in the middle of a batch
            await count_effect(tx, event)
        finally:
            at_once.discard(event.key)

    await send(cluster, *story_of(12, 1500))
    first, second = (consumer_of(db, cluster, reactions(slow), max_batch=60) for _ in range(2))
    async with running(first):
        await eventually(lambda: applied(db, 60))
        async with running(second):
            await eventually(lambda: _loaded(second))
            assert not await applied(db, 1500), "the second consumer must join while there is work"
            await eventually(lambda: applied(db, 1500), within=40)
        await send(cluster, *story_of(12, 100, start=1500))
        await eventually(lambda: applied(db, 1600))
    assert overlaps == [], "one key in two workers at the same time"
    await require_each_once(db, 1600)


async def _loaded(consumer: Any) -> bool:
    return bool(consumer.loaded)


async def test_messages_shuffled_across_topics_end_in_the_same_state(database: Make, cluster: Cluster) -> None:
    """A replica and effects are fed in one service; the topics' batches may interleave in any way."""
    db = await prepared(database)
    clients = [
        message(ClientRecorded(id="acme", name=f"Acme {number}", tier="oro"), number + 1) for number in range(40)
    ]
    both = [(0, one) for one in clients] + [(1, one) for one in story_of(4, 200)]
    order = random.Random(7)
    queues: dict[int, list[Any]] = {0: clients, 1: story_of(4, 200)}
    shuffled = [queues[which].pop(0) for which in order.sample([which for which, _ in both], k=len(both))]
    await send(cluster, *shuffled, *[message(ClientRecorded(id="acme", name="old", tier="oro"), 3)])
    async with running(consumer_of(db, cluster, reactions(replicas=True))):
        await eventually(lambda: applied(db, 200))
        await eventually(lambda: _client_is(db, "Acme 39"))
    await require_each_once(db, 200)


async def _client_is(db: Database, name: str) -> bool:
    return bool(await db.count("SELECT count(*) FROM public.clients WHERE name = $1", name))


async def test_a_replica_is_filled_when_the_end_of_its_first_assignment_is_passed(
    database: Make, cluster: Cluster
) -> None:
    db = await prepared(database)
    async with db.begin() as tx:
        assert await unfilled_replicas(tx, ["desk.clients.v1"]) == ["desk.clients.v1"]
    await send(
        cluster, *[message(ClientRecorded(id="acme", name="Acme", tier="oro"), number) for number in range(1, 30)]
    )

    async def filled() -> bool:
        async with db.begin() as tx:
            return await unfilled_replicas(tx, ["desk.clients.v1"]) == []

    async with running(consumer_of(db, cluster, reactions(replicas=True))):
        await eventually(filled)
    assert await db.count("SELECT count(*) FROM public.clients") == 1


async def test_an_empty_compacted_topic_is_filled_at_once(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)

    async def filled() -> bool:
        async with db.begin() as tx:
            return await unfilled_replicas(tx, ["desk.clients.v1"]) == []

    async with running(consumer_of(db, cluster, reactions(replicas=True))):
        await eventually(filled)


async def test_a_deadlock_is_waited_out_not_parked(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    failures = 0

    async def unlucky(tx: Transaction, events: Sequence[Received[Any]]) -> None:
        nonlocal failures
        if failures < 3:
            failures += 1
            await tx.execute(sql("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        await count_effects(tx, events)

    await send(cluster, *story_of(6, 60))
    async with running(consumer_of(db, cluster, reactions(unlucky, many=True))):
        await eventually(lambda: applied(db, 60))
    assert failures == 3
    assert await db.count("SELECT count(*) FROM runtime.parked") == 0
    await require_each_once(db, 60)
