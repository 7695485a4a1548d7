"""One batch against everything that may go on beside it: what holds it in order when the inbox alone would not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.inventory import ClientRecorded
from shared.db.transaction import Transaction
from shared.messaging import parking
from shared.messaging.batch import BatchApplier
from shared.messaging.kafka import Cluster
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.records import Record
from tests.shared.messaging.story import (
    assigned,
    consumer_of,
    count_effect,
    effects,
    keep_client,
    message,
    opened,
    prepare_effects,
    reactions,
    ticket,
)
from tests.support.databases import Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]


async def prepared(database: Make) -> Database:
    db = await database("runtime")
    await prepare_effects(db)
    async with db.connect() as connection:
        await connection.execute(
            "INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 0), ('desk.clients.v1', 0, 0)"
        )
    return db


def record(told: tuple[str, bytes, bytes, list[Any]], offset: int) -> Record:
    topic, key, value, headers = told
    return Record(topic, 0, offset, key, tuple(headers), value)


def applier_of(db: Database, react: Reactions) -> BatchApplier:
    return BatchApplier(db.engine, react, lambda: None)


class Gate:
    """A reaction that says that it began, and waits until it may go on."""

    def __init__(self) -> None:
        self.entered = 0
        self.open = asyncio.Event()

    async def pass_through(self) -> None:
        self.entered += 1
        await self.open.wait()

    async def count(self, tx: Transaction, event: Received[Any]) -> None:
        await self.pass_through()
        await count_effect(tx, event)

    async def keep(self, tx: Transaction, event: Received[Any]) -> None:
        await self.pass_through()
        await keep_client(tx, event)

    async def is_entered(self) -> bool:
        return self.entered > 0


async def somebody_waits(db: Database) -> bool:
    """Whether a transaction of this database waits for a lock of another."""
    return bool(
        await db.count(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def test_what_lies_below_the_stored_offset_is_not_applied_again_without_an_inbox(database: Make) -> None:
    """The inbox forgets after months, and state records never had one."""
    db = await prepared(database)
    applier = applier_of(db, reactions())
    told = [record(message(opened(number), number + 1), number) for number in range(4)]
    await applier.apply(told[:3])
    async with db.connect() as connection:
        await connection.execute("DELETE FROM runtime.inbox")
    await applier.apply(told)
    assert [row["number"] for row in await effects(db)] == [0, 1, 2, 3]


async def test_two_workers_with_the_same_partition_take_turns(database: Make) -> None:
    """A frozen owner that wakes up meets the new one; state records have nothing but the offset's row between them."""
    db = await prepared(database)
    gate = Gate()
    react = Reactions([Reaction(ClientRecorded, gate.keep, False)])
    told = [record(message(ClientRecorded(id="acme", name="Acme", tier="oro"), 1), 0)]
    first = asyncio.create_task(applier_of(db, react).apply(told))
    await eventually(gate.is_entered)
    second = asyncio.create_task(applier_of(db, react).apply(told))

    async def second_waits_or_is_in() -> bool:
        return gate.entered > 1 or await somebody_waits(db)

    await eventually(second_waits_or_is_in)
    gate.open.set()
    await asyncio.gather(first, second)
    assert gate.entered == 1


async def test_what_would_succeed_waits_behind_what_failed_in_the_same_batch(database: Make) -> None:
    db = await prepared(database)

    async def fail(_: Transaction, event: Received[Any]) -> None:
        raise ValueError("not this one")

    told = [message(opened(0, of=1), 1), message(assigned(1, of=1), 2), message(assigned(2, of=2), 3)]
    await applier_of(db, reactions(fail)).apply([record(one, offset) for offset, one in enumerate(told)])
    assert [row["key"] for row in await effects(db)] == [str(ticket(2))]
    async with db.begin() as tx:
        assert [row.reason for row in await parking.list_parked(tx)] == ["failed", "behind"]


async def test_a_batch_waits_for_the_retry_that_is_about_to_free_its_key(database: Make) -> None:
    """Parked behind a key that is freed in the same moment, a message would wait for ever and be overtaken."""
    db = await prepared(database)

    async def fail(_: Transaction, event: Received[Any]) -> None:
        raise ValueError("not yet")

    await applier_of(db, reactions(fail)).apply([record(message(opened(0, of=1), 1), 0)])
    gate = Gate()

    async def retry() -> None:
        async with db.begin() as tx:
            assert await parking.retry_parked(tx, clock.now() + timedelta(hours=1), reactions(gate.count)) == 1

    retrying = asyncio.create_task(retry())
    await eventually(gate.is_entered)
    batch = asyncio.create_task(applier_of(db, reactions()).apply([record(message(opened(1, of=1), 2), 1)]))

    async def batch_waits_or_is_through() -> bool:
        return batch.done() or await somebody_waits(db)

    await eventually(batch_waits_or_is_through)
    gate.open.set()
    await asyncio.gather(retrying, batch)
    assert [row["number"] for row in await effects(db)] == [0, 1]
    assert await db.count("SELECT count(*) FROM runtime.parked WHERE state = 'waiting'") == 0


def delivered(told: tuple[str, bytes, bytes, list[Any]], cluster: Cluster, offset: int) -> ConsumerRecord[Any, Any]:
    topic, key, value, headers = told
    return ConsumerRecord(
        cluster.physical(topic), 0, offset, 0, 0, key, value, None, len(key), len(value), tuple(headers)
    )  # fmt: skip


async def test_what_was_fetched_before_a_rebalance_is_not_applied_after_it(database: Make) -> None:
    """The partition may have come back at an earlier offset: storing this batch's would pass over what lies between."""
    db, cluster = await prepared(database), Cluster("127.0.0.1:9")
    consumer = consumer_of(db, cluster)
    late = delivered(message(opened(1), 1), cluster, 7)
    consumer._fetched_in = consumer._assignment
    await consumer.revoked()
    consumer.loaded[TopicPartition(late.topic, 0)] = 0
    await consumer._consume([late])
    assert await effects(db) == []
    assert await db.count("SELECT sum(next_offset) FROM runtime.offsets") == 0


async def test_a_revocation_waits_for_the_batch_in_flight(database: Make) -> None:
    db, cluster = await prepared(database), Cluster("127.0.0.1:9")
    gate = Gate()
    consumer = consumer_of(db, cluster, reactions(gate.count))
    one = delivered(message(opened(1), 1), cluster, 0)
    consumer.loaded[TopicPartition(one.topic, 0)] = 0
    batch = asyncio.create_task(consumer._consume([one]))
    await eventually(gate.is_entered)
    revoked = asyncio.create_task(consumer.revoked())
    await asyncio.sleep(0)
    assert consumer.loaded, "the batch still owns its partitions"
    assert not revoked.done()
    gate.open.set()
    await asyncio.gather(batch, revoked)
    assert not consumer.loaded
