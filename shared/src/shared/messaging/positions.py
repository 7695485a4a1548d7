"""Where a service stands in each partition, and whether the log it finds is the one it knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from shared import clock
from shared.db.engine import Engine
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin
from shared.messaging.batch import Partition, store_offsets
from shared.messaging.kafka import Cluster, cluster_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Log:
    """The first offset that a partition still has, and the one after its last."""

    begin: int
    end: int


class Refused(Exception):
    """The log is not the one that this database has read; going on would silently apply nothing, or the wrong thing."""


class OtherCluster(Refused):
    """The brokers belong to another cluster than the stored offsets."""


class LogBehindDatabase(Refused):
    """A partition ends before the offset that this database has reached."""


_ADOPTED = sql("SELECT id FROM runtime.cluster")
_ADOPT_FIRST = sql("""
    INSERT INTO runtime.cluster (id, adopted_at) SELECT :id, :now WHERE NOT EXISTS (SELECT FROM runtime.cluster)
    ON CONFLICT DO NOTHING
""")
_ENSURE = sql("""
    INSERT INTO runtime.offsets (topic, partition, next_offset)
    SELECT topic, partition, 0 FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])) AS n(topic, partition)
    ORDER BY topic, partition ON CONFLICT DO NOTHING
""")
_STORED = sql("""
    SELECT topic, partition, next_offset FROM runtime.offsets
    WHERE (topic, partition) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
""")
_ALL_STORED = sql("SELECT topic, partition, next_offset FROM runtime.offsets")
_RESET = sql("""
    UPDATE runtime.offsets SET next_offset = 0
    WHERE (topic, partition) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
""")
_FORGET_REPLICAS = sql("""
    DELETE FROM runtime.replicas
    WHERE (topic, partition) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
""")
_AIM = sql("""
    INSERT INTO runtime.replicas (topic, partition, target_offset, filled_at)
    SELECT topic, partition, target, CASE WHEN reached >= target THEN CAST(:now AS timestamptz) END
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:targets AS bigint[]),
                CAST(:reached AS bigint[])) AS n(topic, partition, target, reached)
    ON CONFLICT DO NOTHING
""")


async def load(
    engine: Engine, cluster: Cluster, logs: Mapping[Partition, Log], compacted: Collection[str]
) -> dict[Partition, int]:
    """Where to begin in each partition; no row means 0. Also notes how far each replica has to read to be filled: give
    the logs of all partitions of the compacted topics, or a replica would count as filled when a part of it is.

    Raises Refused when the cluster or a log is not the one that the offsets belong to.
    """
    identity = await cluster_id(cluster)
    async with begin(engine, lambda: None) as tx:
        await _require_cluster(tx, identity)
        stored = await _stored(tx, logs)
        _require_not_ahead(stored, logs)
        await _aim(tx, {place: logs[place] for place in logs if place[0] in compacted}, stored)
        if gone := {place: logs[place].begin for place, at in stored.items() if at < logs[place].begin}:
            # What retention deleted will never come: from here on the database stands where the log begins.
            await store_offsets(tx, gone, clock.now())
    for place, at in stored.items():
        if 0 < at < logs[place].begin:
            log.error("retention deleted events before they were applied", partition=place, stored=at)
    return {place: max(at, logs[place].begin) for place, at in stored.items()}


async def _require_cluster(tx: Transaction, identity: str) -> None:
    await tx.execute(_ADOPT_FIRST, {"id": identity, "now": clock.now()})
    known = await tx.fetch_value(_ADOPTED)
    if known != identity:
        raise OtherCluster(
            f"this database has read cluster {known}, and the brokers belong to {identity}: if that is meant, say "
            "`python -m <service> messaging adopt-cluster`"
        )


async def _stored(tx: Transaction, logs: Mapping[Partition, Log]) -> dict[Partition, int]:
    places = sorted(logs)
    arrays = {"topics": [place[0] for place in places], "partitions": [place[1] for place in places]}
    await tx.execute(_ENSURE, arrays)
    return {(row.topic, row.partition): row.next_offset for row in await tx.fetch(_STORED, arrays)}


def _require_not_ahead(stored: Mapping[Partition, int], logs: Mapping[Partition, Log]) -> None:
    ahead = [
        f"{topic}/{number}: stored {at}, log ends at {logs[topic, number].end}"
        for (topic, number), at in sorted(stored.items())
        if at > logs[topic, number].end
    ]
    if ahead:
        raise LogBehindDatabase(
            f"the log is behind the database ({'; '.join(ahead)}): was the broker wiped, or a topic made anew? "
            "`python -m <service> messaging adopt-cluster` begins these topics from the start"
        )


async def _aim(tx: Transaction, logs: Mapping[Partition, Log], stored: Mapping[Partition, int]) -> None:
    if not logs:
        return
    places = sorted(logs)
    await tx.execute(
        _AIM,
        {
            "topics": [place[0] for place in places],
            "partitions": [place[1] for place in places],
            "targets": [logs[place].end for place in places],
            "reached": [max(stored[place], logs[place].begin) for place in places],
            "now": clock.now(),
        },
    )


async def adopt_cluster(tx: Transaction, identity: str, ends: Mapping[Partition, int]) -> int:
    """Takes a cluster for this database's own: offsets begin at 0 again, the inbox keeps effects single.

    Of the cluster that is its own already only the partitions are reset that end before their stored offset: the
    others are well, and their consumers would not notice. Returns how many were reset.
    """
    known = await tx.fetch_value(_ADOPTED)
    await tx.execute(sql("DELETE FROM runtime.cluster"))
    await tx.execute(_ADOPT_FIRST, {"id": identity, "now": clock.now()})
    stored = {(row.topic, row.partition): row.next_offset for row in await tx.fetch(_ALL_STORED)}
    places = [place for place, at in sorted(stored.items()) if known != identity or at > ends.get(place, at)]
    arrays = {"topics": [place[0] for place in places], "partitions": [place[1] for place in places]}
    await tx.execute(_FORGET_REPLICAS, arrays)
    return await tx.execute(_RESET, arrays)
