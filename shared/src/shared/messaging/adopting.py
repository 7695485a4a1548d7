"""Setting back where a service stands: when an operator adopts a cluster or a log, or has a type applied late."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared import clock
from shared.contracts.topics import TOPIC_OF
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.errors import NotFound
from shared.messaging import limit, offsets, refusals, skipped
from shared.messaging.kafka import Bounds
from shared.messaging.records import Partition


@dataclass(frozen=True)
class SetBack:
    """Where a service stood in a partition, and the offset from which it reads again."""

    topic: str
    partition: int
    stood_at: int
    reads_from: int


class NothingSkipped(NotFound):
    """Nothing of the type was passed over, or somebody decided about it already."""

    code = "nothing-skipped"
    title = "Nothing was passed over"


# In the order in which batches lock them.
_LOCK = sql("SELECT topic, partition, next_offset FROM runtime.offsets ORDER BY topic, partition FOR UPDATE")
_SET_BACK = sql("""
    UPDATE runtime.offsets o SET next_offset = least(o.next_offset, n.next_offset), generation = o.generation + 1,
        newest_at = CASE WHEN :forget THEN NULL ELSE o.newest_at END,
        dated_below = CASE WHEN :forget THEN NULL ELSE o.dated_below END
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
         AS n(topic, partition, next_offset)
    WHERE (o.topic, o.partition) = (n.topic, n.partition)
""")
_FORGET_REPLICAS = sql("DELETE FROM runtime.replicas WHERE topic = ANY(CAST(:topics AS text[]))")
_FORGET_HALTS = sql("DELETE FROM runtime.halts WHERE topic = ANY(CAST(:topics AS text[]))")
_FORGET_SKIPPED = sql("DELETE FROM runtime.skipped_types WHERE topic = ANY(CAST(:topics AS text[]))")
# Their offsets mean something else in another log.
_FORGET_LEFT_OUT = sql("""
    UPDATE runtime.accepted_skips SET until_offset = 0
    WHERE until_offset > 0 AND topic = ANY(CAST(:topics AS text[]))
""")
_SETTLE = sql("DELETE FROM runtime.skipped_types WHERE topic = :topic AND type = :type")
_ACCEPT = sql("""
    INSERT INTO runtime.accepted_skips
        (topic, partition, type, first_offset, until_offset, first_at, reason, accepted_at)
    SELECT s.topic, s.partition, s.type, s.first_offset, coalesce(o.next_offset, 0), s.first_at, :reason, :now
    FROM runtime.skipped_types s LEFT JOIN runtime.offsets o USING (topic, partition)
    WHERE s.topic = :topic AND s.type = :type
""")


async def adopt_cluster(
    tx: Transaction, identity: str, logs: Mapping[Partition, Bounds], *, dry_run: bool = False
) -> list[SetBack]:
    """Takes a cluster for this database's own: it is read from the beginning, the inbox keeps effects single.

    Of the cluster that is its own already only the topics are set back of which a log was refused or ends before the
    stored offset: the others are well. Returns the partitions, with where they stood.
    """
    known = await offsets.adopted(tx)
    stored = await _locked(tx)
    sick = {row.topic for row in await refusals.refused(tx)}
    sick |= {place[0] for place, at in stored.items() if place in logs and at > logs[place].end}
    topics = {topic for topic, _ in stored if known != identity or topic in sick}
    found = _from_the_beginning(stored, logs, topics)
    if not dry_run:
        await tx.execute(sql("DELETE FROM runtime.cluster"))
        await tx.execute(offsets.ADOPT_FIRST, {"id": identity, "now": clock.now()})
        await _begin_anew(tx, stored, topics)
        await refusals.forget(tx, {refusals.WHOLE_CLUSTER, *sick})
    return found


async def adopt_log(
    tx: Transaction, topic: str, logs: Mapping[Partition, Bounds], *, dry_run: bool = False
) -> list[SetBack]:
    """Takes a topic's present log for the one to read: from its beginning, the inbox keeps effects single."""
    stored = await _locked(tx)
    found = _from_the_beginning(stored, logs, {topic})
    if not dry_run:
        await _begin_anew(tx, stored, {topic})
        await refusals.forget(tx, {topic})
    return found


async def replay(
    tx: Transaction, type_name: str, logs: Mapping[Partition, Bounds], *, dry_run: bool = False
) -> list[SetBack]:
    """Sets the partitions back to the first event of a type that was passed over; the inbox drops what was applied.

    Raises NothingSkipped.
    """
    stored = await _locked(tx)
    first = await _first_skipped(tx, type_name)
    found = [
        SetBack(*place, stored[place], min(stored[place], max(offset, logs[place].begin if place in logs else 0)))
        for place, offset in first.items()
        if place in stored
    ]
    if not dry_run:
        topic = TOPIC_OF[type_name]
        await limit.forget_passed(tx)
        await _set_back(tx, {(one.topic, one.partition): one.reads_from for one in found}, forget=False)
        await tx.execute(_SETTLE, {"topic": topic.name, "type": type_name})
        if topic.cleanup == "compact":
            await tx.execute(_FORGET_REPLICAS, {"topics": [topic.name]})
    return found


async def accept_skipped(tx: Transaction, type_name: str, reason: str, now: datetime) -> list[Partition]:
    """Leaves out for good what was passed over of a type until now, with the reason: even when a partition is set back
    behind it, for another type. Raises NothingSkipped."""
    stored = await _locked(tx)
    first = await _first_skipped(tx, type_name)
    words = {"topic": TOPIC_OF[type_name].name, "type": type_name}
    await tx.execute(_ACCEPT, {**words, "reason": reason, "now": now})
    await tx.execute(_SETTLE, words)
    # A release that goes on passing it over records it anew, because the generation of the partition is another.
    await _set_back(tx, {place: stored[place] for place in first if place in stored}, forget=False)
    return sorted(first)


async def _locked(tx: Transaction) -> dict[Partition, int]:
    return {(row.topic, row.partition): row.next_offset for row in await tx.fetch(_LOCK)}


async def _first_skipped(tx: Transaction, type_name: str) -> dict[Partition, int]:
    rows = await skipped.passed_over(tx, [type_name])
    if not rows:
        raise NothingSkipped(f"nothing of {type_name} was passed over, or it is decided: `messaging lag` lists what is")
    return {(row.topic, row.partition): row.first_offset for row in rows}


def _from_the_beginning(
    stored: Mapping[Partition, int], logs: Mapping[Partition, Bounds], topics: Collection[str]
) -> list[SetBack]:
    """What changes: a partition of which nothing was read begins where it would have begun anyway."""
    return [
        SetBack(*place, at, logs[place].begin if place in logs else 0)
        for place, at in sorted(stored.items())
        if place[0] in topics and at > 0
    ]


async def _begin_anew(tx: Transaction, stored: Mapping[Partition, int], topics: Collection[str]) -> None:
    await _set_back(tx, {place: 0 for place in stored if place[0] in topics}, forget=True)
    for statement in (_FORGET_REPLICAS, _FORGET_HALTS, _FORGET_SKIPPED, _FORGET_LEFT_OUT):
        await tx.execute(statement, {"topics": sorted(topics)})


async def _set_back(tx: Transaction, to: Mapping[Partition, int], *, forget: bool) -> None:
    places: Sequence[Partition] = sorted(to)
    await tx.execute(
        _SET_BACK,
        {
            "topics": [place[0] for place in places],
            "partitions": [place[1] for place in places],
            "offsets": [to[place] for place in places],
            "forget": forget,
        },
    )
