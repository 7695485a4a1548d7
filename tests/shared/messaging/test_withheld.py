"""What cannot be sent holds up nobody, however much of it waits, and comes back in its order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from shared.contracts.topics import ALL_TOPICS, CLIENTS, TICKETS
from shared.messaging import outgoing
from shared.messaging.kafka import Cluster
from shared.messaging.topics import create_topics
from tests.conftest import delete_topics
from tests.shared.messaging.story import (
    first_deliveries,
    outbox_empty,
    publish_all,
    read_topic,
    relay_of,
    require_order,
    running,
    story_of,
    ticket,
)
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.statements import Explained

Make = Callable[[str], Awaitable[Database]]

# More than the relay takes out of the way at once.
MANY = 50_000
BURST = """
    WITH archived AS (
        INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor,
                                     correlation_id, value)
        SELECT gen_random_uuid(), $1, 'client:' || n % 7, 'desk.client.recorded.v1', 'client:' || n % 7,
               '2026-11-24T13:00Z', '2026-11-24T13:00Z', 'live', 'ana', 'call-1',
               convert_to('{"id": "acme", "name": "' || n || '", "tier": "oro"}', 'UTF8')
        FROM generate_series(1, $2::int) n RETURNING position)
    INSERT INTO runtime.outbox SELECT position FROM archived
"""
BLOCK_ALL = """
    INSERT INTO runtime.blocked_rows SELECT topic, key, min(position), 'too large', now()
    FROM runtime.archive GROUP BY topic, key
"""


@pytest.fixture
async def without_clients(kafka_bootstrap: str) -> AsyncIterator[Cluster]:
    """A cluster that lacks the topic of the clients."""
    cluster = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    await create_topics(cluster, [topic for topic in ALL_TOPICS if topic is not CLIENTS], partitions=3)
    yield cluster
    await delete_topics(cluster)


async def test_the_next_rows_are_looked_up_however_much_was_told_before_them(database: Make) -> None:
    """After a burst the outbox seems large for a while, and a plan that goes through the archive seems cheap."""
    db = await database("runtime")
    async with db.connect(OWNER) as connection:
        await connection.execute(BURST, CLIENTS.name, MANY)
        await publish_all(db, story_of(3, 100))
        await connection.execute("ANALYZE runtime.outbox, runtime.archive")  # as a server does by itself after a while
        while await _burst_is_in_the_way(db):
            await outgoing.withhold_topics(connection, [CLIENTS.name])
        explained = Explained(connection)
        assert len(await outgoing.next_rows(explained, 50)) == 50
    assert max(explained.looked_at) == 50


async def _burst_is_in_the_way(db: Database) -> bool:
    return await db.count("SELECT count(*) FROM runtime.outbox") > 100


async def test_many_rows_of_a_missing_topic_leave_the_way_and_come_back_in_order(
    database: Make, without_clients: Cluster
) -> None:
    db = await database("runtime")
    async with db.connect() as connection:
        await connection.execute(BURST, CLIENTS.name, MANY)
    await publish_all(db, story_of(3, 300))
    async with running(relay_of(db, without_clients)):
        await eventually(lambda: _sent(db), what="what can be sent is sent")
        assert await db.count("SELECT count(*) FROM runtime.withheld") == MANY
        await create_topics(without_clients, ALL_TOPICS, partitions=3)
        await eventually(lambda: outbox_empty(db), within=60)
    deliveries = first_deliveries(await read_topic(without_clients, CLIENTS.name, MANY))
    assert len(deliveries) == MANY
    require_order(deliveries)


async def test_rows_come_back_in_portions_and_keep_their_order_when_the_relay_dies_between_them(
    database: Make, without_clients: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement for all of them would be longer than statements may be, however often it is tried."""
    monkeypatch.setattr(outgoing, "TAKEN_BACK_AT_ONCE", 10)
    take_back = outgoing.take_back
    portions: list[int] = []

    async def die_after_the_first(connection: Any, topic: str) -> int:
        portions.append(await take_back(connection, topic))
        if len(portions) == 1:
            raise ConnectionResetError("the relay dies")
        return portions[-1]

    monkeypatch.setattr(outgoing, "take_back", die_after_the_first)
    db = await database("runtime")
    async with db.connect() as connection:
        await connection.execute(BURST, CLIENTS.name, 45)
    async with running(relay_of(db, without_clients)):
        await eventually(lambda: _withheld(db, 45))
        await create_topics(without_clients, ALL_TOPICS, partitions=3)
        await eventually(lambda: outbox_empty(db), within=60)
    assert max(portions) == 10
    assert len(portions) >= 5
    deliveries = first_deliveries(await read_topic(without_clients, CLIENTS.name, 45))
    assert len(deliveries) == 45
    require_order(deliveries)


async def _withheld(db: Database, count: int) -> bool:
    return await db.count("SELECT count(*) FROM runtime.withheld") == count


async def _sent(db: Database) -> bool:
    return await db.count("SELECT count(*) FROM runtime.outbox") == 0


async def test_rows_behind_an_unsendable_one_leave_the_way_and_come_back_when_it_is_released(
    database: Make, cluster: Cluster
) -> None:
    db = await database("runtime")
    await publish_all(db, story_of(1, 50))
    async with db.connect() as connection:
        await connection.execute(BLOCK_ALL)
    async with running(relay_of(db, cluster)):
        await eventually(lambda: _sent(db))
        assert await db.count("SELECT count(*) FROM runtime.withheld") == 50
        async with db.begin() as tx:
            assert await outgoing.release_key(tx, TICKETS.name, str(ticket(0)))
            assert not await outgoing.release_key(tx, TICKETS.name, "nobody")
        await publish_all(db, story_of(1, 50, start=50))
        await eventually(lambda: outbox_empty(db))
    deliveries = first_deliveries(await read_topic(cluster, TICKETS.name, 100))
    assert len(deliveries) == 100
    require_order(deliveries)


@pytest.mark.parametrize("first", ["release", "withhold"])
async def test_a_key_that_is_released_while_its_rows_are_withheld_loses_none(database: Make, first: str) -> None:
    """The relay has read that the key is blocked; then the operator releases it, and the relay withholds what it read:
    whoever is second waits for the first at the key's row."""
    db = await database("runtime")
    await publish_all(db, story_of(1, 3))
    async with db.connect() as relay:
        await relay.execute(BLOCK_ALL)
        rows = await outgoing.next_rows(relay, 10)
        assert all(row["behind"] for row in rows)

        async def release() -> None:
            async with db.begin() as tx:
                assert await outgoing.release_key(tx, TICKETS.name, str(ticket(0)))
                if first == "release":
                    await _meet(db, withhold())

        async def withhold() -> None:
            async with relay.transaction():
                await outgoing.withhold_behind(relay, rows)
                if first == "withhold":
                    await _meet(db, release())

        await (release() if first == "release" else withhold())
        await _second.pop()
    assert await db.count("SELECT count(*) FROM runtime.outbox") == 3
    assert await db.count("SELECT count(*) FROM runtime.withheld") == 0


_second: list[asyncio.Task[None]] = []


async def _meet(db: Database, work: Coroutine[Any, Any, None]) -> None:
    """Begins the second's work and returns once it waits for a lock that the first has."""
    _second.append(asyncio.create_task(work))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def waits() -> bool:
        return await db.count(waiting) == 1

    await eventually(waits, what="the second waits for the first")
