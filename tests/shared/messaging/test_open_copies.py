"""A row is two records where its topic has an open copy: it stays until both are acknowledged."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from shared.contracts.topics import OPEN_COPIES, TICKETS
from shared.messaging import outgoing
from shared.messaging.kafka import Cluster, end_offsets
from shared.messaging.topics import create_topics
from tests.conftest import delete_topics
from tests.shared.messaging.story import (
    first_deliveries,
    opened,
    outbox_empty,
    publish_all,
    read_topic,
    relay_of,
    require_order,
    running,
    ticket,
)
from tests.support.briefs import ticket_brief
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.topics import configure

Make = Callable[[str], Awaitable[Database]]

(COPY,) = [topic for topic in OPEN_COPIES if topic.name == TICKETS.open_copy]
EVENTS = 20


def ids(records: list[Any]) -> list[bytes]:
    """The id of each record."""
    return [dict(record.headers)["ce_id"] for record in records]


async def archived(db: Database) -> set[bytes]:
    """The ids of everything that was ever told."""
    async with db.connect() as connection:
        return {str(row["id"]).encode() for row in await connection.fetch("SELECT id FROM runtime.archive")}


async def waiting(db: Database) -> int:
    return await db.count("SELECT (SELECT count(*) FROM runtime.outbox) + (SELECT count(*) FROM runtime.withheld)")


async def test_without_the_topic_of_the_copy_nothing_is_sent_and_then_each_record_once(
    database: Make, kafka_bootstrap: str
) -> None:
    cluster = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    await create_topics(cluster, [TICKETS], partitions=3)
    db = await database("runtime")
    await publish_all(db, [opened(number, of=number % 4) for number in range(EVENTS)])

    async def are_withheld() -> bool:
        return await db.count("SELECT count(*) FROM runtime.withheld") == EVENTS

    try:
        async with running(relay_of(db, cluster)):
            await eventually(are_withheld)
            assert sum((await end_offsets(cluster, [TICKETS.name])).values()) == 0
            await create_topics(cluster, [COPY], partitions=3)
            await eventually(lambda: outbox_empty(db), within=60)
        for topic in (TICKETS, COPY):
            records = await read_topic(cluster, topic.name, EVENTS)
            assert sorted(ids(records)) == sorted(await archived(db)), topic.name
            require_order(first_deliveries(records))
    finally:
        await delete_topics(cluster)


async def test_a_copy_that_the_broker_rejects_keeps_its_row_and_those_behind_it(
    database: Make, cluster: Cluster
) -> None:
    """Its first record was taken each time it was tried, under one id: who counts by id counts it once."""
    db = await database("runtime")
    await configure(cluster, COPY.name, {"max.message.bytes": str(20_000)})
    # Not personal, and so in the copy too; incompressible.
    large = opened(8, of=0).model_copy(update={"ticket": ticket_brief(number=os.urandom(20_000).hex())})
    events = [opened(number, of=number % 4) for number in range(EVENTS)]
    events[8] = large
    await publish_all(db, events)
    behind = [number for number in range(8, EVENTS) if number % 4 == 0]

    async def is_blocked() -> bool:
        blocked = await db.count("SELECT count(*) FROM runtime.blocked_rows") == 1
        return blocked and await waiting(db) == len(behind)

    async with running(relay_of(db, cluster)):
        await eventually(is_blocked, within=60)
    before = await read_topic(cluster, COPY.name, EVENTS - len(behind))
    assert len(set(ids(before))) == EVENTS - len(behind)
    await configure(cluster, COPY.name, {"max.message.bytes": str(1_000_000)})
    async with db.begin() as tx:
        assert await outgoing.release_key(tx, TICKETS.name, str(ticket(0)))
    async with running(relay_of(db, cluster)):
        await eventually(lambda: outbox_empty(db), within=60)
    for topic in (TICKETS, COPY):
        records = await read_topic(cluster, topic.name, EVENTS)
        assert set(ids(records)) == await archived(db), topic.name
        deliveries = first_deliveries(records)
        assert len(deliveries) == EVENTS
        require_order(deliveries)
