"""Where a service stands in each partition, and whether the log it finds is the one it knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from shared import clock
from shared.db.engine import Engine
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Transaction, begin
from shared.messaging import fingerprint, limit, refusals, skipped
from shared.messaging.batch import OffsetsMoved, store_offsets
from shared.messaging.fingerprint import Log, Stood
from shared.messaging.kafka import Cluster, cluster_id
from shared.messaging.reactions import Reactions
from shared.messaging.records import Partition
from shared.messaging.refusals import OtherCluster, Refusal

log = structlog.get_logger(__name__)

Look = Callable[[Mapping[Partition, Stood]], Awaitable[Mapping[Partition, Log]]]

_ADOPTED = sql("SELECT id FROM runtime.cluster")
ADOPT_FIRST = sql("""
    INSERT INTO runtime.cluster (id, adopted_at) SELECT :id, :now WHERE NOT EXISTS (SELECT FROM runtime.cluster)
    ON CONFLICT DO NOTHING
""")
# A partition that was never read has no row yet, and whoever locks it shall find one.
ENSURE = sql("""
    INSERT INTO runtime.offsets (topic, partition, next_offset)
    SELECT topic, partition, 0 FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])) AS n(topic, partition)
    ORDER BY topic, partition ON CONFLICT DO NOTHING
""")
_STORED = sql("""
    SELECT topic, partition, next_offset, newest_at, dated_below, generation FROM runtime.offsets
    WHERE (topic, partition) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
""")
_AIM = sql("""
    INSERT INTO runtime.replicas (topic, partition, target_offset, filled_at)
    SELECT topic, partition, target, CASE WHEN reached >= target THEN CAST(:now AS timestamptz) END
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:targets AS bigint[]),
                CAST(:reached AS bigint[])) AS n(topic, partition, target, reached)
    ON CONFLICT DO NOTHING
""")
# Locked in the order in which batches lock them.
_DATE = sql("""
    WITH read AS (
        SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:newest AS bigint[]),
                             CAST(:below AS bigint[]), CAST(:generations AS int[]))
               AS n(topic, partition, newest_at, dated_below, generation)
    ), locked AS MATERIALIZED (
        SELECT o.topic, o.partition, n.newest_at, n.dated_below FROM runtime.offsets o
        JOIN read n USING (topic, partition, generation) WHERE o.next_offset >= n.dated_below
        ORDER BY o.topic, o.partition FOR UPDATE OF o
    )
    UPDATE runtime.offsets o SET newest_at = greatest(o.newest_at, n.newest_at),
                                 dated_below = greatest(o.dated_below, n.dated_below)
    FROM locked n WHERE (o.topic, o.partition) = (n.topic, n.partition)
""")
_DECISIONS = query("""
    SELECT (SELECT coalesce(sum(generation), 0) FROM runtime.offsets) AS generations,
           (SELECT count(*) FROM runtime.refused_logs WHERE topic = ANY(CAST(:topics AS text[]))) AS refused
""")


@dataclass(frozen=True)
class Standing:
    """Where to begin in each partition, and what had been decided until then: whoever sees another number of
    `decisions` later must load again."""

    starts: dict[Partition, int]
    stood: dict[Partition, Stood]
    decisions: tuple[int, int]
    halts: Sequence[Any] = ()
    left_out: skipped.LeftOut = field(default_factory=dict)


async def load(
    engine: Engine, cluster: Cluster, places: Collection[Partition], reactions: Reactions, look: Look
) -> Standing:
    """Where to begin in each partition; no row means 0. Also notes how far each replica has to read to be filled: give
    all partitions of the compacted topics, or a replica would count as filled when a part of it is.

    Raises Refused when the cluster or a log is not the one that the offsets belong to, which is noted for good, and
    when somebody must say first what becomes of events that were passed over.
    """
    await _require_cluster(engine, await cluster_id(cluster))
    topics = [topic.name for topic in reactions.topics]
    async with begin(engine, lambda: None) as tx:
        decisions = await decided(tx, topics)
        await refusals.require_none(tx, topics)
        await skipped.require_settled(tx, reactions)
        stood = await _stored(tx, places)
        halts = await limit.halted(tx)
        left_out = await skipped.left_out(tx, reactions, {place: at.next_offset for place, at in stood.items()})
    logs = await look(stood)
    await refuse(engine, others(stood, logs), topics)
    async with begin(engine, lambda: None) as tx:
        compacted = {topic.name for topic in reactions.replicas}
        await _aim(tx, {place: logs[place] for place in logs if place[0] in compacted}, stood)
        if gone := {place: logs[place].begin for place, at in stood.items() if at.next_offset < logs[place].begin}:
            # What retention deleted will never come: from here on the database stands where the log begins.
            await store_offsets(tx, gone, clock.now())
    for place, at in stood.items():
        if 0 < at.next_offset < logs[place].begin:
            log.error("retention deleted events before they were applied", partition=place, stored=at.next_offset)
    starts = {place: max(at.next_offset, logs[place].begin) for place, at in stood.items()}
    halts = [one for one in halts if starts.get((one.topic, one.partition), one.offset + 1) <= one.offset]
    return Standing(starts, stood, decisions, halts, left_out)


async def decided(tx: Reader, topics: Collection[str]) -> tuple[int, int]:
    """Two numbers that change whenever an operator decided something about the logs, or a log was refused."""
    row = await tx.fetch_one(_DECISIONS, {"topics": sorted(topics)})
    return row.generations, row.refused


async def refuse(engine: Engine, found: Sequence[Refusal], topics: Collection[str]) -> None:
    """Notes what is refused, in a transaction of its own, and raises LogRefused. Does nothing when nothing was found.

    Raises OffsetsMoved when an operator decided otherwise in the same moment: look again.
    """
    if not found:
        return
    async with begin(engine, lambda: None) as tx:
        await refusals.note(tx, found, clock.now())
    async with begin(engine, lambda: None) as tx:
        await refusals.require_none(tx, topics)
    raise OffsetsMoved("an operator decided about the logs while they were looked at")


def others(stood: Mapping[Partition, Stood], logs: Mapping[Partition, Log]) -> list[Refusal]:
    """The partitions whose log cannot be the one that was read."""
    found = []
    for (topic, number), at in sorted(stood.items()):
        seen = logs[topic, number]
        if at.next_offset > seen.end:
            why, shows = "the log is behind the database", f"it ends at {seen.end}"
            found.append(Refusal(topic, number, at.next_offset, at.generation, why, shows))
        elif seen.younger is not None:
            found.append(fingerprint.made_anew((topic, number), at, seen.younger))
    return found


async def date(engine: Engine, stood: Mapping[Partition, Stood]) -> None:
    """Stores the youngest time of what was read of each partition, for whoever loads it next. Leaves out what an
    operator set back meanwhile, or a restored database."""
    places = sorted(place for place, at in stood.items() if at.newest_at is not None)
    if not places:
        return
    async with begin(engine, lambda: None) as tx:
        await tx.execute(
            _DATE,
            {
                "topics": [place[0] for place in places],
                "partitions": [place[1] for place in places],
                "newest": [stood[place].newest_at for place in places],
                "below": [stood[place].dated_below for place in places],
                "generations": [stood[place].generation for place in places],
            },
        )


async def _require_cluster(engine: Engine, identity: str) -> None:
    async with begin(engine, lambda: None) as tx:
        await tx.execute(ADOPT_FIRST, {"id": identity, "now": clock.now()})
        known = await adopted(tx)
        if known == identity:
            await refusals.forget(tx, [refusals.WHOLE_CLUSTER])
            return
        await refusals.note_cluster(tx, str(known), identity, clock.now())
    raise OtherCluster(
        f"this database has read cluster {known}, and the brokers belong to {identity}: if that is meant, say "
        "`messaging adopt-cluster`"
    )


async def adopted(tx: Transaction) -> str | None:
    """The cluster that this database has read; None before the first."""
    known: str | None = await tx.fetch_value(_ADOPTED)
    return known


async def _stored(tx: Transaction, places: Collection[Partition]) -> dict[Partition, Stood]:
    ordered = sorted(places)
    arrays = {"topics": [place[0] for place in ordered], "partitions": [place[1] for place in ordered]}
    await tx.execute(ENSURE, arrays)
    return {
        (row.topic, row.partition): Stood(row.next_offset, row.newest_at, row.dated_below or 0, row.generation)
        for row in await tx.fetch(_STORED, arrays)
    }


async def _aim(tx: Transaction, logs: Mapping[Partition, Log], stood: Mapping[Partition, Stood]) -> None:
    if not logs:
        return
    places = sorted(logs)
    await tx.execute(
        _AIM,
        {
            "topics": [place[0] for place in places],
            "partitions": [place[1] for place in places],
            "targets": [logs[place].end for place in places],
            "reached": [max(stood[place].next_offset, logs[place].begin) for place in places],
            "now": clock.now(),
        },
    )
