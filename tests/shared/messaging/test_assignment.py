"""Partition n of every topic goes to the same member: what reacts to one ticket never waits for another member."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from shared.contracts.topics import ALL_TOPICS
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.topics import create_topics
from tests.conftest import delete_topics
from tests.shared.messaging.story import consumer_of, effects, message, opened, reactions, running, send
from tests.shared.messaging.test_consumer import applied, prepared
from tests.shared.messaging.test_fencing import named
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]

MEMBERS, PARTITIONS, EVENTS = 5, 12, 1200
HANDS = """
    CREATE TABLE public.hands (key text PRIMARY KEY, times int NOT NULL);
    GRANT SELECT, INSERT, UPDATE ON public.hands TO test_serving;
"""


async def shares(consumers: list[Consumer]) -> list[dict[str, set[int]]]:
    """Which partitions of each topic each member has."""
    found: list[dict[str, set[int]]] = []
    for consumer in consumers:
        mine: dict[str, set[int]] = {}
        for one in consumer.loaded:
            mine.setdefault(one.topic, set()).add(one.partition)
        found.append(mine)
    return found


async def everybody_has_a_share(consumers: list[Consumer]) -> bool:
    """Whether all partitions of both topics are given, to all members."""
    given = await shares(consumers)
    return all(given) and all(
        sum(len(mine.get(topic, ())) for mine in given) == PARTITIONS
        for topic in {name for mine in given for name in mine}
    )


async def test_five_members_share_twelve_partitions_alike_and_never_deadlock(
    database: Make, kafka_bootstrap: str
) -> None:
    cluster = Cluster(kafka_bootstrap, "assigned.")
    await create_topics(cluster, ALL_TOPICS, partitions=PARTITIONS)
    db = await prepared(database)
    async with db.connect(OWNER) as owner:
        await owner.execute(HANDS)

    async def touch(tx: Transaction, event: Any) -> None:
        """What all reactions to one ticket do: they lock what belongs to it."""
        await tx.execute(
            sql("""
                INSERT INTO public.hands AS h (key, times) VALUES (:key, 1)
                ON CONFLICT (key) DO UPDATE SET times = h.times + 1
            """),
            {"key": event.key},
        )
        await count(tx, event)

    count = reactions().by_type[opened(0).type].function
    consumers = [consumer_of(db, cluster, reactions(touch, replicas=True), max_batch=50) for _ in range(MEMBERS)]
    try:
        async with running(*consumers):
            await eventually(lambda: everybody_has_a_share(consumers), within=60)
            for mine in await shares(consumers):
                assert len({frozenset(partitions) for partitions in mine.values()}) == 1, mine
            before = await _deadlocks(db)
            await send(
                cluster,
                *[message(opened(number, of=number % 60), number + 1) for number in range(EVENTS)],
                *[message(named(f"client {number}", f"c{number % 30}"), number + 1) for number in range(300)],
            )
            await eventually(lambda: applied(db, EVENTS), within=60)
        assert await _deadlocks(db) == before
        rows = await effects(db)
        assert len({row["event_id"] for row in rows}) == len(rows) == EVENTS
        assert await db.count("SELECT sum(times) FROM public.hands") == EVENTS
    finally:
        await delete_topics(cluster)


async def _deadlocks(db: Database) -> int:
    await asyncio.sleep(1.2)  # PostgreSQL tells its counts once a second
    return await db.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
