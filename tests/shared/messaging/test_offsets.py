"""Where the database stands decides: when it or the log moves beneath a running consumer, nothing is passed over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.admin import DeleteGroupsRequest

from runner.databases import clone_database, drop_database
from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import CLIENTS, TICKETS
from shared.db.engine import make_engine
from shared.messaging.consumer import LONGEST_WORK_SECONDS
from shared.messaging.kafka import Cluster, admin
from shared.messaging.replicas import unfilled_replicas
from tests.shared.messaging.story import consumer_of, effects, message, reactions, running, send
from tests.shared.messaging.test_consumer import (
    applied,
    prepared,
    reached_end,
    require_each_once,
    story_of,
)
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]


async def test_a_database_restored_beneath_a_running_consumer_catches_up(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 300))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 300))
        async with db.connect(OWNER) as connection:
            # What an older copy looks like, without the consumer losing a single connection.
            await connection.execute("TRUNCATE public.effects, runtime.inbox")
            await connection.execute("UPDATE runtime.offsets SET next_offset = 0")
        await send(cluster, *story_of(6, 30, start=300))
        await eventually(lambda: applied(db, 330))
    await require_each_once(db, 330)


async def test_records_that_the_client_lost_in_an_error_are_read_again(
    database: Make, cluster: Cluster, monkeypatch: Any
) -> None:
    """The client empties one partition, stumbles over the next, and raises: what it had in hand is gone."""
    db = await prepared(database)
    await send(cluster, *story_of(9, 900))
    take_out, get_many = FetchResult.getall, AIOKafkaConsumer.getmany
    in_hand: list[Any] = []
    stumbled = 0

    def stumbling(self: Any, max_records: int | None = None) -> Any:
        nonlocal stumbled
        if in_hand and stumbled < 2:
            stumbled += 1
            raise CorruptRecordException("broken on the way")
        in_hand.extend(records := take_out(self, max_records))
        return records

    async def from_empty_hands(self: Any, *arguments: Any, **options: Any) -> Any:
        in_hand.clear()
        return await get_many(self, *arguments, **options)

    monkeypatch.setattr(FetchResult, "getall", stumbling)
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", from_empty_hands)
    async with running(consumer_of(db, cluster, max_batch=10_000)):
        await eventually(lambda: applied(db, 900))
    assert stumbled == 2
    await require_each_once(db, 900)


async def test_a_replica_of_which_only_a_part_was_read_is_not_filled(database: Make, cluster: Cluster) -> None:
    """Another member of the group holds some of the partitions and never reads them."""
    db = await prepared(database)
    await send(cluster, *[message(ClientRecorded(id=f"c-{one}", name="C", tier="oro"), one) for one in range(1, 60)])
    idle = AIOKafkaConsumer(
        *[cluster.physical(topic.name) for topic in (CLIENTS, TICKETS)],
        bootstrap_servers=cluster.bootstrap,
        group_id=cluster.physical("desk-test"),
        enable_auto_commit=False,
        session_timeout_ms=1000,
        heartbeat_interval_ms=250,
    )
    await idle.start()
    consumer = consumer_of(db, cluster, reactions(replicas=True))
    mine = CLIENTS.name

    async def filled_in_part() -> bool:
        return await db.count("SELECT count(*) FROM runtime.replicas WHERE filled_at IS NOT NULL") > 0

    async def filled() -> bool:
        async with db.begin() as tx:
            return await unfilled_replicas(tx, [mine]) == []

    async with running(consumer):
        await eventually(lambda: _holds_a_part(consumer, cluster.physical(mine)))
        await eventually(filled_in_part)
        assert not await filled()
        await idle.stop()
        await eventually(filled)


async def _holds_a_part(consumer: Any, topic: str) -> bool:
    held = [partition for partition in consumer.loaded if partition.topic == topic]
    return 0 < len(held) < 3


async def test_a_batch_that_takes_long_is_no_standstill_and_one_that_hangs_is(database: Make, cluster: Cluster) -> None:
    consumer = consumer_of(await database("runtime"), cluster)
    consumer._turned -= 60
    with consumer._at_work():
        assert time.monotonic() - consumer.last_turn < 1
        assert consumer._at_work_since is not None
        consumer._at_work_since -= LONGEST_WORK_SECONDS
        assert time.monotonic() - consumer.last_turn > 10
    assert time.monotonic() - consumer.last_turn < 1


async def test_records_that_are_taken_out_while_it_looks_for_markers_are_not_passed_over(
    database: Make, cluster: Cluster, monkeypatch: Any
) -> None:
    """The client's position lies behind records as soon as it hands them out, long before they are applied."""
    db = await prepared(database)
    consumer = consumer_of(db, cluster)
    position = AIOKafkaConsumer.position

    async def asked_in_the_worst_moment(self: Any, partition: Any) -> Any:
        for _ in range(100):
            if consumer._in_hand:
                break
            await asyncio.sleep(0.01)  # it asks once a second, and may not wait longer
        return await position(self, partition)

    monkeypatch.setattr(AIOKafkaConsumer, "position", asked_in_the_worst_moment)
    async with running(consumer):
        for start in range(0, 60, 6):
            await send(cluster, *story_of(6, 6, start=start))
            await eventually(partial(applied, db, start + 6))
            await asyncio.sleep(0.5)  # so that records come while it asks, which it does once a second
        assert consumer.problem is None
    await require_each_once(db, 60)
    assert await db.count("SELECT count(*) FROM runtime.refused_logs") == 0


async def test_a_database_restored_from_an_older_dump_catches_up_by_itself(
    database: Make, cluster: Cluster, postgres_url: str
) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 300))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 300))
    # A database is copied only while nobody is connected to it, and an engine that was closed stays closed.
    await db.engine.dispose()
    dump = f"{db.name}_dump"
    await clone_database(postgres_url, db.name, dump)
    going_on = Database(db.name, postgres_url, make_engine(db.url, application="test"))
    restored = Database(dump, postgres_url, make_engine(db.url.replace(db.name, dump), application="test"))
    try:
        await send(cluster, *story_of(6, 300, start=300))
        async with running(consumer_of(going_on, cluster)):
            await eventually(lambda: applied(going_on, 600))
        assert await restored.count("SELECT count(*) FROM public.effects") == 300
        async with running(consumer_of(restored, cluster)):
            await eventually(lambda: applied(restored, 600))
        await require_each_once(restored, 600)
    finally:
        await going_on.engine.dispose()
        await restored.engine.dispose()
        await drop_database(postgres_url, dump)


async def test_stored_offsets_set_back_to_zero_change_nothing(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 300))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 300))
    before = await effects(db)
    async with db.connect() as connection:
        await connection.execute("UPDATE runtime.offsets SET next_offset = 0")
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: reached_end(db, cluster))
    assert await effects(db) == before


async def test_a_deleted_group_changes_nothing(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 300))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 300))
    before = await effects(db)

    group = cluster.physical("desk-test")

    async def group_is_gone() -> bool:
        async with admin(cluster) as client:
            coordinator = await client.find_coordinator(group)
            answer = await client._send_request(DeleteGroupsRequest([group]), coordinator)
            return all(code == 0 for _, code in answer.results)

    await eventually(group_is_gone, what="a group that is empty can be deleted")
    async with running(consumer_of(db, cluster)):
        await send(cluster, *story_of(6, 30, start=300))
        await eventually(lambda: applied(db, 330))
    rows = await effects(db)
    assert rows[:300] == before
    await require_each_once(db, 330)
