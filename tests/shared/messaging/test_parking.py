"""Parking: the guilty key waits in order, the others go on, nothing is lost, and a bad release stops the consumer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.contracts.envelope import Received
from shared.contracts.topics import CLIENTS, TICKETS
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.messaging import parking
from shared.messaging.adopting import adopt_cluster
from shared.messaging.batch import BatchApplier
from shared.messaging.kafka import Cluster
from shared.messaging.limit import MAX_KEYS_PER_MINUTE
from shared.messaging.reactions import Reactions
from shared.messaging.records import Record
from tests.shared.messaging.story import (
    assigned,
    consumer_of,
    count_effect,
    effects,
    message,
    opened,
    prepare_effects,
    reactions,
    require_order_per_key,
    running,
    send,
    ticket,
)
from tests.support.databases import Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]
TOPIC = {"topic": TICKETS.name}


class Switch:
    """A reaction that fails for one key until it is mended."""

    def __init__(self, *keys: int) -> None:
        self.failing = {str(ticket(number)) for number in keys}

    async def react(self, tx: Transaction, event: Received[Any]) -> None:
        if event.key in self.failing:
            raise ValueError(f"cannot do {event.key}")
        await count_effect(tx, event)


async def prepared(database: Make) -> Database:
    db = await database("runtime")
    await prepare_effects(db)
    return db


async def waiting(db: Database) -> int:
    return await db.count("SELECT count(*) FROM runtime.parked WHERE state = 'waiting'")


async def retry_until_free(db: Database, react: Reactions) -> None:
    """What the retry job does, later and later, so that all become due."""
    later = clock.now()

    async def none_blocked() -> bool:
        nonlocal later
        later += timedelta(hours=2)
        async with db.begin() as tx:
            await parking.retry_parked(tx, later, react)
        return await db.count("SELECT count(*) FROM runtime.blocked_keys WHERE NOT gave_up") == 0

    await eventually(none_blocked)


async def counted(db: Database, count: int) -> bool:
    return await db.count("SELECT count(*) FROM public.effects") >= count


async def test_a_failing_key_is_parked_in_order_and_the_others_go_on(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    switch = Switch(2)
    react = reactions(switch.react)
    await send(cluster, *[message(opened(number, of=number % 5), number + 1) for number in range(200)])
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: counted(db, 160))
        assert await waiting(db) == 40
        # Another type of the same key would succeed, but must wait behind.
        await send(cluster, message(assigned(200, of=2), 201), message(assigned(201, of=3), 202))
        await eventually(lambda: counted(db, 161))
        assert await waiting(db) == 41
        switch.failing.clear()
        await retry_until_free(db, react)
    rows = await effects(db)
    assert len(rows) == 202
    assert len({row["event_id"] for row in rows}) == 202
    require_order_per_key(rows)


async def test_new_messages_of_a_freed_key_are_applied_directly_again(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    switch = Switch(1)
    react = reactions(switch.react)
    async with running(consumer_of(db, cluster, react)):
        await send(cluster, *[message(opened(number, of=1), number + 1) for number in range(5)])
        await eventually(lambda: _is(waiting(db), 5))
        switch.failing.clear()
        await retry_until_free(db, react)
        await send(cluster, *[message(opened(number, of=1), number + 1) for number in range(5, 9)])
        await eventually(lambda: counted(db, 9))
    assert await waiting(db) == 0
    require_order_per_key(await effects(db))


async def _is(question: Awaitable[int], expected: int) -> bool:
    return await question == expected


async def test_an_invalid_message_is_kept_raw_and_blocks_its_key(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    topic, key, _, headers = message(opened(1, of=1), 1)
    strange = b'{"ticket_id": "\x00\xff'
    odd_headers = [*headers, ("x-odd", b"\x00\xff\xfe")]
    await send(
        cluster,
        message(opened(0, of=1), 1),
        (topic, key, strange, odd_headers),
        message(opened(2, of=1), 3),
        message(opened(3, of=2), 4),
    )
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: counted(db, 2))
        await eventually(lambda: _is(waiting(db), 2))
    async with db.connect() as connection:
        rows = await connection.fetch("SELECT * FROM runtime.parked ORDER BY id")
    assert [row["reason"] for row in rows] == ["invalid", "behind"]
    assert rows[0]["value"] == strange
    assert ("x-odd", b"\x00\xff\xfe") in parking.unpacked(rows[0]["headers"])
    assert {row["number"] for row in await effects(db)} == {0, 3}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda topic, key, value, headers: (topic, None, value, headers),
        lambda topic, key, value, headers: (topic, b"\xff\x00key", value, headers),
        lambda topic, key, value, headers: (topic, key, value, []),
        lambda topic, key, value, headers: (topic, key, value, [("ce_type", b"desk.ticket.opened.v1\x00")]),
        lambda topic, key, value, headers: (topic, key, value, [*headers, ("bad\x00name", b"")]),
        lambda topic, key, value, headers: (topic, str(ticket(99)).encode(), value, headers),
        lambda topic, key, value, headers: (topic, key, b"", headers),
        lambda topic, key, value, headers: (topic, key, value, [one for one in headers if one[0] != "ce_sequence"]),
    ],
    ids=[
        "no key",
        "key not text",
        "no headers",
        "nul in type",
        "nul in header",
        "foreign key",
        "no value",
        "no sequence",
    ],
)
async def test_whatever_a_stranger_writes_the_partition_goes_on(
    database: Make, cluster: Cluster, spoil: Callable[..., Any]
) -> None:
    db = await prepared(database)
    await send(cluster, spoil(*message(opened(1, of=1), 1)), message(opened(2, of=2), 2), message(opened(3, of=3), 3))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: counted(db, 2))
        await eventually(lambda: _every_offset_stored(db, 3))


async def _every_offset_stored(db: Database, records: int) -> bool:
    return await db.count("SELECT sum(next_offset) FROM runtime.offsets WHERE topic = $1", TICKETS.name) == records


@pytest.mark.parametrize(
    ("topic", "source", "problem"),
    [
        (CLIENTS.name, TICKETS.source, f"desk.ticket.opened.v1 belongs on {TICKETS.name}, not on {CLIENTS.name}"),
        (TICKETS.name, CLIENTS.source, f"ce_source: desk.ticket.opened.v1 is told by {TICKETS.source} alone"),
    ],
)
async def test_an_event_on_another_topic_or_of_another_source_is_parked_and_not_applied(
    database: Make, cluster: Cluster, topic: str, source: str, problem: str
) -> None:
    """Rights on Kafka end at a topic: whoever may write one may not tell what belongs to another."""
    db = await prepared(database)
    _, key, value, headers = message(opened(1), 1)
    stated = [(name, source.encode() if name == "ce_source" else text) for name, text in headers]
    async with running(consumer_of(db, cluster, reactions(replicas=True))):
        await send(cluster, (topic, key, value, stated), message(opened(2), 2))
        await eventually(lambda: counted(db, 1))
        await eventually(lambda: waiting(db))
    async with db.connect() as connection:
        (row,) = await connection.fetch("SELECT topic, reason, problem FROM runtime.parked")
    assert tuple(row) == (topic, "invalid", problem)
    assert [row["number"] for row in await effects(db)] == [2]


async def test_a_doubled_invalid_message_is_parked_once(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    topic, key, _, headers = message(opened(1, of=1), 1)
    await send(cluster, (topic, key, b"{}", headers), (topic, key, b"{}", headers), message(opened(2, of=2), 2))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: counted(db, 1))
        await eventually(lambda: _every_offset_stored(db, 3))
    assert await db.count("SELECT count(*) FROM runtime.parked") == 1


async def test_a_discarded_message_stays_readable_and_is_never_applied(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    switch = Switch(1)
    react = reactions(switch.react)
    guilty = message(opened(0, of=1), 1)
    await send(cluster, guilty, message(opened(1, of=1), 2))
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: _is(waiting(db), 2))
        async with db.begin() as tx:
            first = (await parking.list_parked(tx))[0]
            await parking.discard_parked(tx, first.id, "the client was merged", clock.now())
        switch.failing.clear()
        await retry_until_free(db, react)
        await send(cluster, guilty, message(opened(2, of=1), 3))
        await eventually(lambda: counted(db, 2))
        await eventually(lambda: _every_offset_stored(db, 4))
    assert [row["number"] for row in await effects(db)] == [1, 2]
    async with db.begin() as tx:
        kept = await parking.show_parked(tx, first.id)
    assert (kept.state, kept.ended_because) == ("discarded", "the client was merged")
    assert kept.value == guilty[2]


async def test_another_message_at_the_place_of_an_old_one_is_parked_too(database: Make, cluster: Cluster) -> None:
    """A topic that was made anew counts its offsets from 0 again, and parked rows are kept for ever."""
    db = await prepared(database)
    applier = BatchApplier(db.engine, reactions(Switch(1, 2).react), lambda: None)
    for number in (1, 2):
        async with db.begin() as tx:
            await adopt_cluster(tx, f"cluster {number}", {})
            await tx.execute(sql("INSERT INTO runtime.offsets VALUES (:topic, 0, 0) ON CONFLICT DO NOTHING"), TOPIC)
        topic, key, value, headers = message(opened(number), number)
        await applier.apply([Record(topic, 0, 0, key, tuple(headers), value)])
    assert await waiting(db) == 2


async def test_a_retry_that_fails_leaves_no_other_key_waiting(database: Make, cluster: Cluster) -> None:
    """The job goes on at once while there are due keys, also after one that fails again."""
    db = await prepared(database)
    switch = Switch(1, 2)
    react = reactions(switch.react)
    await send(cluster, message(opened(0, of=1), 1), message(opened(1, of=2), 2))
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: _is(waiting(db), 2))
    later = clock.now() + timedelta(hours=2)
    done = []
    for _ in range(3):
        async with db.begin() as tx:
            done.append(await parking.retry_parked(tx, later, react))
    assert done == [1, 1, 0]


async def test_a_long_queue_is_replayed_in_order_and_in_portions(
    database: Make, cluster: Cluster, monkeypatch: Any
) -> None:
    db = await prepared(database)
    monkeypatch.setattr(parking, "REPLAY_AT_ONCE", 7)
    switch = Switch(1)
    react = reactions(switch.react)
    await send(cluster, *[message(opened(number, of=1), number + 1) for number in range(21)])
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: _is(waiting(db), 21))
        switch.failing.clear()
        await retry_until_free(db, react)
    rows = await effects(db)
    assert len(rows) == 21
    require_order_per_key(rows)


async def test_attempts_are_capped_and_an_operator_can_begin_again(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    switch = Switch(1)
    react = reactions(switch.react)
    await send(cluster, message(opened(0, of=1), 1))
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: _is(waiting(db), 1))
    await retry_until_free(db, react)
    assert await db.count("SELECT count(*) FROM runtime.blocked_keys WHERE gave_up") == 1
    assert await db.count("SELECT attempts FROM runtime.parked") == parking.MAX_ATTEMPTS
    switch.failing.clear()
    async with db.begin() as tx:
        assert await parking.retry_now(tx, clock.now()) == 1
    await retry_until_free(db, react)
    assert await counted(db, 1)


async def test_the_consumer_stops_when_parking_runs_wild(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    keys = range(60)
    react = reactions(Switch(*keys).react)
    await send(cluster, *[message(opened(number), number + 1) for number in keys])
    consumer = consumer_of(db, cluster, react, max_batch=10)
    async with running(consumer):
        await eventually(lambda: _halted(consumer))
        assert await db.count("SELECT count(*) FROM runtime.blocked_keys") <= MAX_KEYS_PER_MINUTE
    # Nothing was lost: with the release mended, a new process goes on where the old one stopped.
    mended = reactions()
    async with running(consumer_of(db, cluster, mended)):
        await retry_until_free(db, mended)
        await eventually(lambda: counted(db, 60))
    assert len({row["event_id"] for row in await effects(db)}) == 60


async def test_what_an_import_parks_does_not_stop_the_live_consumer(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    react = reactions(Switch(*range(60)).react)
    imported = [message(opened(number), number + 1, origin="import") for number in range(60)]
    live = [message(opened(number), number + 1) for number in range(100, 110)]
    await send(cluster, *imported, *live)
    consumer = consumer_of(db, cluster, react, max_batch=10)
    async with running(consumer):
        await eventually(lambda: counted(db, 10))
        await eventually(lambda: _parked(db, 60))
        assert consumer.halted is None
        # Live ones still count: what cannot be read stops it.
        more = [message(opened(number), number + 1) for number in range(200, 260)]
        await send(cluster, *[(topic, key, b"{}", headers) for topic, key, _, headers in more])
        await eventually(lambda: _halted(consumer))


async def _parked(db: Database, count: int) -> bool:
    return await db.count("SELECT count(*) FROM runtime.blocked_keys") == count


async def _halted(consumer: Any) -> bool:
    return consumer.halted is not None


async def test_a_value_that_the_driver_cannot_encode_parks_its_message_and_not_the_partition(
    database: Make, cluster: Cluster
) -> None:
    db = await prepared(database)

    async def encode_badly(tx: Transaction, event: Received[Any]) -> None:
        if event.key == str(ticket(1)):
            await tx.execute(sql("SELECT CAST(:number AS int)"), {"number": "not a number"})
        await count_effect(tx, event)

    await send(cluster, message(opened(1, of=1), 1), message(opened(2, of=2), 2))
    async with running(consumer_of(db, cluster, reactions(encode_badly))):
        await eventually(lambda: counted(db, 1))
        await eventually(lambda: _is(waiting(db), 1))


async def test_a_type_that_nobody_here_reads_is_skipped(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    topic, key, value, headers = message(opened(1, of=1), 1)
    newer = [(name, b"desk.ticket.opened.v2" if name == "ce_type" else text) for name, text in headers]
    await send(cluster, (topic, key, value, newer), message(opened(2, of=1), 2))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: counted(db, 1))
    assert await db.count("SELECT count(*) FROM runtime.parked") == 0
