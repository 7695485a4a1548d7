"""Logs that are not the ones that this database has read: noted for good, until an operator adopts them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.db.statement import sql
from shared.db.transaction import Reader, Transaction

# The topic under which another cluster stands: it is none of the registry's.
WHOLE_CLUSTER = "*"
SHOWN_PARTITIONS = 3


class Refused(Exception):
    """Going on would silently apply nothing, or the wrong thing; only an operator ends it."""


class OtherCluster(Refused):
    """The brokers belong to another cluster than the stored offsets."""


class LogRefused(Refused):
    """A log is not the one that this database has read, or was not when somebody looked first."""


@dataclass(frozen=True)
class Refusal:
    """One partition that is refused. It counts only while the partition's `generation` is still this one."""

    topic: str
    partition: int
    stored_offset: int
    generation: int
    why: str
    shows: str


_NOTE = sql("""
    INSERT INTO runtime.refused_logs (topic, partition, stored_offset, why, shows, found_at)
    SELECT n.topic, n.partition, n.stored, n.why, n.shows, :now
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:stored AS bigint[]),
                CAST(:generations AS int[]), CAST(:why AS text[]), CAST(:shows AS text[]))
         AS n(topic, partition, stored, generation, why, shows)
    JOIN runtime.offsets o ON (o.topic, o.partition, o.generation) = (n.topic, n.partition, n.generation)
    FOR SHARE OF o
    ON CONFLICT DO NOTHING
""")
_NOTE_CLUSTER = sql("""
    INSERT INTO runtime.refused_logs (topic, partition, stored_offset, why, shows, found_at)
    VALUES (:topic, 0, 0, :why, :shows, :now)
    ON CONFLICT (topic, partition) DO UPDATE SET why = excluded.why, shows = excluded.shows
""")
_REFUSED = sql("""
    SELECT topic, partition, stored_offset, why, shows, found_at FROM runtime.refused_logs
    ORDER BY topic, partition
""")
_FORGET = sql("DELETE FROM runtime.refused_logs WHERE topic = ANY(CAST(:topics AS text[]))")


async def note(tx: Transaction, found: Sequence[Refusal], now: datetime) -> None:
    """Keeps what is refused. What an operator decided meanwhile wins: then nothing is kept."""
    await tx.execute(
        _NOTE,
        {
            "topics": [one.topic for one in found],
            "partitions": [one.partition for one in found],
            "stored": [one.stored_offset for one in found],
            "generations": [one.generation for one in found],
            "why": [one.why for one in found],
            "shows": [one.shows for one in found],
            "now": now,
        },
    )


async def note_cluster(tx: Transaction, known: str, found: str, now: datetime) -> None:
    """Keeps that the brokers belong to another cluster, so that every part of the service can tell."""
    why, shows = f"this database has read cluster {known}", f"the brokers belong to {found}"
    await tx.execute(_NOTE_CLUSTER, {"topic": WHOLE_CLUSTER, "why": why, "shows": shows, "now": now})


async def forget(tx: Transaction, topics: Collection[str]) -> None:
    """Ends the refusal of these topics."""
    await tx.execute(_FORGET, {"topics": sorted(topics)})


async def refused(tx: Reader) -> Sequence[Any]:
    """Everything that is refused now, the cluster first."""
    return await tx.fetch(_REFUSED)


async def require_none(tx: Reader, topics: Collection[str]) -> None:
    """Raises LogRefused when a log of these topics was refused, whatever it looks like now."""
    rows = [row for row in await refused(tx) if row.topic in topics]
    if rows:
        raise LogRefused(told(rows))


def told(rows: Sequence[Any]) -> str:
    """What is refused, and the command that ends it: first, because whoever shows it may cut it off."""
    names = sorted({row.topic for row in rows})
    commands = ", ".join(f"`messaging {command_for(name)}`" for name in names)
    shown = "; ".join(
        row.why + f": {row.shows}"
        if row.topic == WHOLE_CLUSTER
        else f"{row.topic}/{row.partition} stood at {row.stored_offset}, {row.why}: {row.shows}"
        for row in rows[:SHOWN_PARTITIONS]
    )
    more = f"; and {len(rows) - SHOWN_PARTITIONS} more partitions" if len(rows) > SHOWN_PARTITIONS else ""
    return f"the log is not the one that was read; if that is meant, say {commands} ({shown}{more})"


def command_for(topic: str) -> str:
    """The operator's command that ends the refusal of a topic."""
    return "adopt-cluster" if topic == WHOLE_CLUSTER else f"adopt-log {topic}"
