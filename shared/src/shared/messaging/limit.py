"""How many keys may be parked in a minute, what an operator allows beyond that, and where a consumer stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from shared.contracts.envelope import is_imported
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Transaction
from shared.messaging.records import Record

log = structlog.get_logger(__name__)

# More newly blocked keys than this within a minute mean a bad release, not bad messages.
MAX_KEYS_PER_MINUTE = 20


@dataclass(frozen=True)
class Overrun:
    """Of a topic so many keys are too many, in the batch that has this record: `lacking` of them need an allowance."""

    topic: str
    partition: int
    offset: int
    lacking: int


class ParkingRunsWild(Exception):
    """Too many keys would be parked in a minute: the consumer must stop and somebody must look.

    `allowed` is the last allowance that was seen: a later one is a reason to try again.
    """

    def __init__(self, blocked: int, overruns: Sequence[Overrun], allowed: int) -> None:
        super().__init__(f"{blocked} keys blocked within a minute, more than {MAX_KEYS_PER_MINUTE}")
        self.overruns = tuple(overruns)
        self.allowed = allowed


# An import is somebody's decision, tried and looked at apart: it must not stop what goes on beside it.
_NEWLY_BLOCKED = sql("SELECT count(*) FROM runtime.blocked_keys WHERE blocked_at > :since AND NOT imported")
_UNSPENT = sql("""
    SELECT id, topic, unspent FROM runtime.allowances WHERE topic = ANY(CAST(:topics AS text[])) AND unspent > 0
    ORDER BY topic, id FOR UPDATE
""")
_SPEND = sql("UPDATE runtime.allowances SET unspent = unspent - :keys WHERE id = :id")
_LAST_ALLOWED = query("SELECT coalesce(max(id), 0) FROM runtime.allowances")
_FORGET_PASSED = sql("""
    DELETE FROM runtime.halts h USING runtime.offsets o
    WHERE (o.topic, o.partition) = (h.topic, h.partition) AND o.next_offset > h."offset"
""")
_HALT = sql("""
    INSERT INTO runtime.halts (topic, partition, "offset", lacking, halted_at)
    VALUES (:topic, :partition, :offset, :lacking, :now)
    ON CONFLICT (topic, partition) DO UPDATE SET "offset" = excluded."offset", lacking = excluded.lacking
""")
_HALTED = query("""
    SELECT h.topic, h.partition, h."offset", h.lacking, h.halted_at
    FROM runtime.halts h JOIN runtime.offsets o USING (topic, partition)
    WHERE o.next_offset <= h."offset" ORDER BY h.topic, h.partition
""")
_LEFT = query("""
    SELECT topic, sum(unspent) AS unspent FROM runtime.allowances WHERE unspent > 0 GROUP BY topic
""")
_ALLOW = sql("""
    INSERT INTO runtime.allowances (topic, granted, unspent, reason, granted_at)
    VALUES (:topic, :keys, :keys, :reason, :now)
""")


async def refuse_wild_parking(
    tx: Transaction, now: datetime, newly: Sequence[Record], behind: Sequence[Record] = ()
) -> None:
    """Raises ParkingRunsWild when this transaction would bring the last minute over its limit.

    `newly` are the records that blocked a key in this transaction since this was asked last; those beyond the limit are
    paid from what an operator allowed for their topics, in this transaction. `behind` are records of the batch that
    will want the same, so that the number to be allowed is told once and not one by one. What is imported does not
    count.
    """
    newly, behind = _live(newly), _live(behind)
    if not newly:
        return
    blocked = await tx.fetch_value(_NEWLY_BLOCKED, {"since": now - timedelta(minutes=1)})
    over = blocked - MAX_KEYS_PER_MINUTE
    if over <= 0:
        return
    needed = Counter(record.topic for record in newly[-over:])
    unspent = await tx.fetch(_UNSPENT, {"topics": sorted(needed)})
    lacking = {
        topic: keys - sum(row.unspent for row in unspent if row.topic == topic) for topic, keys in needed.items()
    }
    if any(keys > 0 for keys in lacking.values()):
        raise ParkingRunsWild(blocked, _overruns(lacking, newly, behind), await tx.fetch_value(_LAST_ALLOWED))
    for row in unspent:
        keys = min(row.unspent, needed[row.topic])
        if keys:
            needed[row.topic] -= keys
            await tx.execute(_SPEND, {"id": row.id, "keys": keys})
            log.warning("keys beyond the limit are parked, as allowed", topic=row.topic, keys=keys, allowance=row.id)


def _live(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not is_imported(record.headers, record.value)]


def _overruns(lacking: dict[str, int], newly: Sequence[Record], behind: Sequence[Record]) -> list[Overrun]:
    last = {record.topic: record for record in (*newly, *behind)}
    seen = {(record.topic, record.key) for record in newly}
    more = Counter(topic for topic, _ in {(record.topic, record.key) for record in behind} - seen)
    wanted = {topic: max(0, lacking.get(topic, 0)) + more[topic] for topic in {*lacking, *more}}
    return [
        Overrun(topic, last[topic].partition, last[topic].offset, keys)
        for topic, keys in sorted(wanted.items())
        if keys > 0
    ]


async def note_halt(tx: Transaction, overruns: Sequence[Overrun], now: datetime) -> None:
    """Keeps where a consumer stopped, so that every part of the service can tell, also after a restart."""
    await forget_passed(tx)
    for one in overruns:
        await tx.execute(
            _HALT,
            {
                "topic": one.topic,
                "partition": one.partition,
                "offset": one.offset,
                "lacking": one.lacking,
                "now": now,
            },
        )


async def forget_passed(tx: Transaction) -> None:
    """Forgets the halts that are history; say it before a partition is set back, or they would be present again."""
    await tx.execute(_FORGET_PASSED)


async def halted(tx: Reader) -> Sequence[Any]:
    """Where consumers of this service stopped and nobody came further."""
    return await tx.fetch(_HALTED)


def told(overruns: Sequence[Any]) -> str:
    """What lets a consumer go on, with the number that it takes."""
    commands = " and ".join(f"`messaging accept {one.topic} --keys {one.lacking} --reason '…'`" for one in overruns)
    return (
        f"stopped, because parking runs wild: is it a bad release, take another; are it bad messages, {commands} parks "
        "them, and it goes on by itself"
    )


async def allow(tx: Transaction, topic: str, keys: int, reason: str, now: datetime) -> None:
    """Lets so many keys of a topic be parked beyond the limit."""
    await tx.execute(_ALLOW, {"topic": topic, "keys": keys, "reason": reason, "now": now})


async def unspent(tx: Reader) -> dict[str, int]:
    """How many keys of each topic may still be parked beyond the limit; topics of which none may are left out."""
    return {row.topic: row.unspent for row in await tx.fetch(_LEFT)}


async def last_allowed(tx: Reader) -> int:
    """The number of the last allowance; 0 before the first."""
    found: int = await tx.fetch_value(_LAST_ALLOWED)
    return found
