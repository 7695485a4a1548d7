"""An owner tells again what it has told: a range of its archive, on a topic that only a rebuild reads.

By a producer of its own, never through the outbox: nobody reacts to what is told again. Each run is framed by a mark in
every partition that says how much it tells, so that a reader knows what it has seen whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer

from shared.contracts.topics import REPLAYS, Topic
from shared.db.engine import direct_connection
from shared.ids import new_id
from shared.messaging.archive import headers_of_row
from shared.messaging.kafka import Cluster, to_its_end
from shared.messaging.replays import Scope, mark_headers, run_header

AT_ONCE = 1000

_LAST = "SELECT coalesce(max(position), 0) FROM runtime.archive"
# A page is a piece of the archive, whatever it has of the types that are wanted: a rare one is looked for in many short
# statements.
_PAGE_END = """
    SELECT max(position) FROM
        (SELECT position FROM runtime.archive WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3) page
"""
_PAGE = """
    SELECT position, id, topic, key, type, subject, occurred_at, recorded_at, origin, actor, correlation_id,
           causation_id, traceparent, value
    FROM runtime.archive WHERE position > $1 AND position <= $2 AND ($3::text[] IS NULL OR type = ANY($3::text[]))
    ORDER BY position
"""

Tell = Callable[[str], None]


def replay_topic(service: str) -> Topic:
    """The topic on which a service tells again. Raises KeyError for a service that owns nothing."""
    found = {topic.owner: topic for topic in REPLAYS}
    return found[service]


async def republish(
    database_url: str,
    service: str,
    cluster: Cluster,
    *,
    types: Collection[str] | None = None,
    after: int = 0,
    until: int | None = None,
    tell: Tell = lambda _line: None,
) -> dict[str, Any]:
    """Publishes the archive's positions after `after` until `until` (all when left out) to the service's replay topic.

    What is committed with a lower position while this runs comes by its ordinary topic. Answers run, range and number.
    """
    run, topic, sent = new_id(), cluster.physical(replay_topic(service).name), 0
    scope = Scope(after, until, frozenset(types) if types is not None else None)
    async with (
        direct_connection(database_url, application=f"desk {service} republish") as connection,
        _producing(service, cluster) as producer,
    ):
        partitions = sorted(await producer.partitions_for(topic))
        await _mark(producer, topic, partitions, run, scope, begins=True)
        # Asked only now: whatever a rebuild that sees the run begin does not read on the ordinary topics is told here.
        last = until if until is not None else await connection.fetchval(_LAST)
        async for position, rows in _pages(connection, scope, last):
            sending = [
                await producer.send(
                    topic,
                    key=row["key"].encode(),
                    value=row["value"],
                    headers=[*headers_of_row(row, f"/desk/{service}"), run_header(run)],
                )
                for row in rows
            ]
            await asyncio.gather(*sending)
            sent += len(rows)
            tell(f"{sent} events told again, up to position {position} of {last}")
        await _mark(producer, topic, partitions, run, scope, begins=False)
    return {"run": str(run), "events": sent, "after": after, "until": last}


async def _pages(
    connection: asyncpg.Connection, scope: Scope, last: int
) -> AsyncIterator[tuple[int, list[asyncpg.Record]]]:
    """The rows of the range, and the position up to which they were looked for."""
    position, wanted = scope.after, sorted(scope.types) if scope.types is not None else None
    while (end := await connection.fetchval(_PAGE_END, position, last, AT_ONCE)) is not None:
        if rows := await connection.fetch(_PAGE, position, end, wanted):
            yield end, rows
        position = end


async def _mark(
    producer: AIOKafkaProducer, topic: str, partitions: Collection[int], run: UUID, scope: Scope, *, begins: bool
) -> None:
    headers, value = mark_headers(run, begins=begins), scope.written()
    await asyncio.gather(
        *[
            await producer.send(topic, partition=number, key=b"mark", value=value, headers=headers)
            for number in partitions
        ]
    )


@asynccontextmanager
async def _producing(service: str, cluster: Cluster) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap,
        client_id=f"{service}-republish",
        acks="all",
        enable_idempotence=True,
        **cluster.security.options(),
    )
    await producer.start()
    try:
        yield producer
    finally:
        await to_its_end(producer.stop())
