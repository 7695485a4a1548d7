"""A compacted topic keeps the last record of a key: nobody but the present leader may write one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka.errors import KafkaError

from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import CLIENTS
from shared.db.engine import direct_connection
from shared.ids import new_id
from shared.messaging import outgoing
from shared.messaging.kafka import Cluster
from shared.messaging.producers import Producers
from tests.conftest import make_topics
from tests.shared.messaging.process import started
from tests.shared.messaging.story import (
    AT,
    consumer_of,
    outbox_empty,
    prepare_effects,
    publish_all,
    reactions,
    read_topic,
    relay_of,
    running,
)
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.servers import private_kafka
from tests.support.topics import configure

Make = Callable[[str], Awaitable[Database]]

EAGER = {
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1000",
}


def named(name: str, id: str = "acme") -> ClientRecorded:
    return ClientRecorded(id=id, name=name, tier="oro")


async def name_of(db: Database, id: str = "acme") -> str | None:
    async with db.connect() as connection:
        found: str | None = await connection.fetchval("SELECT name FROM public.clients WHERE id = $1", id)
    return found


@pytest.fixture
async def eager(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A broker that compacts at once what may be compacted."""
    broker = private_kafka(tmp_path / "kafka", {"log.cleaner.backoff.ms": "300"})
    broker.start()
    try:
        cluster = Cluster(broker.bootstrap)
        await make_topics(cluster)
        await configure(cluster, CLIENTS.name, CLIENTS.config() | EAGER)
        yield cluster
    finally:
        broker.remove()


async def test_a_leader_that_wakes_up_cannot_leave_an_old_state_behind(database: Make, eager: Cluster) -> None:
    """Frozen with a state in its hands, replaced, awake again: a replica that is built anew after the compaction has
    the last state. With a plain producer the late double of the old one is what compaction keeps."""
    cluster = eager
    db = await database("runtime")
    async with started("relay-frozen-before-records", db, cluster, service="inventory") as first:
        await publish_all(db, [named("old")])
        await eventually(lambda: _is_frozen(first.pid), what="the leader has the old state in its hands")
        async with running(relay_of(db, cluster, service="inventory")):
            await publish_all(db, [named("middle"), named("new")])
            await eventually(lambda: outbox_empty(db), within=30)
            os.kill(first.pid, signal.SIGCONT)
            await eventually(lambda: _stands_by(db), what="it has noticed that it was replaced")
            await publish_all(db, [named("other", id="other")])
            await eventually(lambda: outbox_empty(db))
    await _roll_segments(cluster)
    await eventually(lambda: _is_compacted(cluster), what="one record of the key is left")
    late = await database("runtime")
    await prepare_effects(late)
    async with running(consumer_of(late, cluster, reactions(replicas=True))):
        await eventually(lambda: _has(late, "acme"))
    assert await name_of(late) == "new"


async def _roll_segments(cluster: Cluster) -> None:
    """Compaction leaves the active segment alone, so that somebody must begin another in each partition."""
    producers = Producers(service="inventory", cluster=cluster, request_timeout_seconds=5)
    rows: list[Any] = [_row(named("later", id=f"later-{number}"), position=1000 + number) for number in range(20)]
    try:
        for _ in range(3):
            await asyncio.sleep(1.2)  # longer than a segment lives
            await producers.fence(rows)
            assert set(await producers.send(rows)) == {None}
    finally:
        await producers.discard()


async def _is_compacted(cluster: Cluster) -> bool:
    records = await read_topic(cluster, CLIENTS.name, 1)
    return len([record for record in records if record.key == b"client:acme"]) == 1


def _row(event: ClientRecorded, position: int) -> dict[str, Any]:
    return {
        "position": position, "id": new_id(), "topic": CLIENTS.name, "key": event.key(), "type": event.type,
        "subject": event.subject(), "occurred_at": AT, "recorded_at": AT, "origin": "live", "actor": "ana",
        "correlation_id": "call-1", "causation_id": None, "traceparent": None,
        "value": event.model_dump_json().encode(),
    }  # fmt: skip


async def _is_frozen(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


async def _stands_by(db: Database) -> bool:
    return (
        await db.count(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'inventory relay' "
            "AND datname = current_database() AND query LIKE '%pg_try_advisory_lock%'"
        )
        >= 1
    )


async def _has(db: Database, id: str) -> bool:
    return await name_of(db, id) is not None


async def test_whoever_fences_ends_the_power_of_the_one_before(cluster: Cluster) -> None:
    first, second = (Producers(service="test", cluster=cluster, request_timeout_seconds=5) for _ in range(2))
    try:
        rows: list[Any] = [_row(named("one"), 1)]
        assert await first.fence(rows)
        assert not await first.fence(rows), "it is made once"
        assert await first.send(rows) == [None]
        assert await second.fence(rows)
        (error,) = await first.send([_row(named("late"), 2)])
        assert isinstance(error, KafkaError)
        assert await second.send([_row(named("two"), 3)]) == [None]
    finally:
        await first.discard()
        await second.discard()
    records = await read_topic(cluster, CLIENTS.name, 2)
    assert [dict(record.headers)["ce_sequence"].lstrip(b"0") for record in records] == [b"1", b"3"]


async def test_a_leader_that_lost_its_lead_while_it_fenced_does_not_send(database: Make, cluster: Cluster) -> None:
    """Otherwise it would fence its successor, and what it read before would come after what that one has sent."""
    db = await database("runtime")
    relay = relay_of(db, cluster)
    await publish_all(db, [named("old")])
    fence = relay.producers.fence
    fenced = 0

    async def slowly(rows: Any) -> bool:
        nonlocal fenced
        made = await fence(rows)
        if made and not fenced:
            fenced += 1
            async with db.connect() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test relay' "
                    "AND datname = current_database()"
                )
        return made

    sent: list[int] = []
    send = relay.producers.send

    async def counting(rows: Any) -> Any:
        sent.append(len(rows))
        return await send(rows)

    relay.producers.fence = slowly  # type: ignore[method-assign]
    relay.producers.send = counting  # type: ignore[method-assign]
    async with running(relay):
        await eventually(lambda: outbox_empty(db))
    assert sent == [1], "only by the one that has the lead"
    assert len(await read_topic(cluster, CLIENTS.name, 1)) == 1


async def test_a_rejected_state_record_holds_back_its_own_key_only(database: Make, cluster: Cluster) -> None:
    db = await database("runtime")
    await configure(cluster, CLIENTS.name, {"max.message.bytes": "20000"})
    await publish_all(db, [named("one", "c1"), named(os.urandom(20_000).hex(), "c2"), named("three", "c3")])
    async with running(relay_of(db, cluster)):
        await eventually(lambda: _withheld(db, 1), within=40)
    records = await read_topic(cluster, CLIENTS.name, 2)
    assert sorted(record.key for record in records) == [b"client:c1", b"client:c3"]


async def _withheld(db: Database, count: int) -> bool:
    async with direct_connection(db.url, application="looking") as connection:
        waiting, withheld, _, blocked = await outgoing.backlog(connection)
    return (waiting, withheld, blocked) == (0, count, 1)
