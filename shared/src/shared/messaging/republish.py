"""An owner tells again what it has told: a range of its archive, on a topic that only a rebuild reads.

By a producer of its own, never through the outbox: nobody reacts to what is told again. Each run is framed by a mark in
every partition, so that a reader knows what it has seen whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer

from shared.contracts.envelope import Cause, headers_of
from shared.contracts.topics import REPLAYS, Topic
from shared.db.engine import direct_connection
from shared.ids import new_id
from shared.messaging.kafka import Cluster

AT_ONCE = 1000

# The header that says to which run a record belongs, and the types of the marks.
RUN, BEGUN, ENDED = "ce_replayrun", b"desk.replay.begun.v1", b"desk.replay.ended.v1"

_LAST = "SELECT coalesce(max(position), 0) FROM runtime.archive"
_RANGE = """
    SELECT position, id, topic, key, type, subject, occurred_at, recorded_at, origin, actor, correlation_id,
           causation_id, traceparent, value
    FROM runtime.archive WHERE position > $1 AND position <= $2 AND ($3::text[] IS NULL OR type = ANY($3::text[]))
    ORDER BY position LIMIT $4
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
    run, topic = new_id(), cluster.physical(replay_topic(service).name)
    sent = 0
    async with (
        direct_connection(database_url, application=f"desk {service} republish") as connection,
        _producing(service, cluster) as producer,
    ):
        last = until if until is not None else await connection.fetchval(_LAST)
        partitions = sorted(await producer.partitions_for(topic))
        await _mark(producer, topic, partitions, run, BEGUN)
        position = after
        wanted = sorted(types) if types is not None else None
        while rows := await connection.fetch(_RANGE, position, last, wanted, AT_ONCE):
            sending = [
                await producer.send(
                    topic, key=row["key"].encode(), value=row["value"], headers=_headers(service, row, run)
                )
                for row in rows
            ]
            await asyncio.gather(*sending)
            sent, position = sent + len(rows), rows[-1]["position"]
            tell(f"{sent} events told again, up to position {position} of {last}")
        await _mark(producer, topic, partitions, run, ENDED)
    return {"run": str(run), "events": sent, "after": after, "until": last}


async def _mark(producer: AIOKafkaProducer, topic: str, partitions: Collection[int], run: UUID, mark: bytes) -> None:
    headers = [("ce_type", mark), (RUN, str(run).encode())]
    await asyncio.gather(
        *[
            await producer.send(topic, partition=number, key=b"mark", value=b"{}", headers=headers)
            for number in partitions
        ]
    )


def _headers(service: str, row: Mapping[str, Any], run: UUID) -> list[tuple[str, bytes]]:
    cause = Cause(
        actor=row["actor"], occurred_at=row["occurred_at"], recorded_at=row["recorded_at"], origin=row["origin"],
        correlation_id=row["correlation_id"], causation_id=row["causation_id"], traceparent=row["traceparent"],
    )  # fmt: skip
    headers = headers_of(
        id=row["id"], source=f"/desk/{service}", type=row["type"], subject=row["subject"], sequence=row["position"],
        cause=cause,
    )  # fmt: skip
    return [*headers, (RUN, str(run).encode())]


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
        await producer.stop()
