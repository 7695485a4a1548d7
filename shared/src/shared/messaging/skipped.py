"""Types that were passed over because nothing reacted to them: a release that does must not begin in the middle."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.contracts.topics import TOPIC_OF
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Transaction
from shared.messaging.reactions import Reactions
from shared.messaging.records import Partition, Skipped
from shared.messaging.refusals import Refused

# What strangers write must not fill the table: only what looks like a type of ours, and not too many of them.
MOST_TYPES_OF_A_TOPIC = 300
LONGEST_TYPE = 200
_OURS = re.compile(r"desk\.[a-z0-9-]+\.[a-z0-9-]+\.v[0-9]+")

Found = dict[tuple[str, int, str], int]


# Of a partition and a type: the offsets from the first up to the second were left out for good.
LeftOut = dict[tuple[Partition, str], list[tuple[int, int]]]


class PassedOver(Refused):
    """This release reacts to a type of which this service has passed events over."""


_RECORD = sql("""
    INSERT INTO runtime.skipped_types (topic, partition, type, first_offset, first_at)
    SELECT n.topic, n.partition, n.type, n.first_offset, :now
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:types AS text[]),
                CAST(:offsets AS bigint[]), CAST(:known AS boolean[])) AS n(topic, partition, type, first_offset, known)
    WHERE n.known OR :most > (SELECT count(DISTINCT s.type) FROM runtime.skipped_types s WHERE s.topic = n.topic)
    ON CONFLICT DO NOTHING
""")
_OF_TYPES = query("""
    SELECT topic, partition, type, first_offset, first_at FROM runtime.skipped_types
    WHERE type = ANY(CAST(:types AS text[])) ORDER BY type, topic, partition
""")


_LEFT_OUT = query("""
    SELECT topic, partition, type, first_offset, until_offset FROM runtime.accepted_skips
    WHERE until_offset > 0 AND topic = ANY(CAST(:topics AS text[])) AND type = ANY(CAST(:types AS text[]))
""")


class SkippedTypes:
    """What one consumer knows to be recorded, so that a type costs something once and not with every batch.

    A partition's `generation` belongs to it: when an operator has decided what becomes of what was passed over, it is
    recorded anew.
    """

    def __init__(self) -> None:
        self._recorded: dict[tuple[str, int, str], int] = {}
        self._strange: dict[str, set[str]] = {}

    def new_among(self, skipped: Sequence[Skipped], generations: Mapping[Partition, int]) -> Found:
        """The first offset of each type that is not recorded yet."""
        found: Found = {}
        for one in skipped:
            record = one.record
            place = (record.topic, record.partition, one.type)
            if self._recorded.get(place) == generations[place[:2]] or place in found:
                continue
            if self._counts(record.topic, one.type):
                found[place] = record.offset
        return found

    def remember(self, found: Found, generations: Mapping[Partition, int]) -> None:
        """These are recorded; say it after the commit."""
        for place in found:
            self._recorded[place] = generations[place[:2]]

    def _counts(self, topic: str, type_name: str) -> bool:
        own = TOPIC_OF.get(type_name)
        if own is not None:
            return own.name == topic
        strange = self._strange.setdefault(topic, set())
        if type_name in strange:
            return True
        if len(strange) >= MOST_TYPES_OF_A_TOPIC or len(type_name) > LONGEST_TYPE or _OURS.fullmatch(type_name) is None:
            return False
        strange.add(type_name)
        return True


async def record(tx: Transaction, found: Found, now: datetime) -> None:
    """Keeps from where on these types were passed over."""
    places = sorted(found)
    await tx.execute(
        _RECORD,
        {
            "topics": [place[0] for place in places],
            "partitions": [place[1] for place in places],
            "types": [place[2] for place in places],
            "offsets": [found[place] for place in places],
            "known": [place[2] in TOPIC_OF for place in places],
            "most": MOST_TYPES_OF_A_TOPIC,
            "now": now,
        },
    )


async def passed_over(tx: Reader, types: Collection[str]) -> list[Any]:
    """What was passed over of types that this release reacts to, and nobody decided about."""
    rows = await tx.fetch(_OF_TYPES, {"types": sorted(types)}) if types else []
    return [row for row in rows if row.type in TOPIC_OF and TOPIC_OF[row.type].name == row.topic]


async def require_settled(tx: Reader, reactions: Reactions) -> None:
    """Raises PassedOver when this release would begin in the middle of a type's events."""
    if rows := await passed_over(tx, reactions.by_type):
        raise PassedOver(told(rows))


async def left_out(tx: Reader, reactions: Reactions, starts: Mapping[Partition, int]) -> LeftOut:
    """What was left out for good and lies where the partitions are read again; usually nothing."""
    topics = sorted({topic for topic, _ in starts})
    found: LeftOut = {}
    for row in await tx.fetch(_LEFT_OUT, {"topics": topics, "types": sorted(reactions.by_type)}):
        place = (row.topic, row.partition)
        if place in starts and starts[place] < row.until_offset:
            found.setdefault((place, row.type), []).append((row.first_offset, row.until_offset))
    return found


def told(rows: Sequence[Any]) -> str:
    """Which types they are, and the commands that end it."""
    since = min(row.first_at for row in rows)
    types = sorted({row.type for row in rows})
    commands = "; ".join(
        f"`messaging replay {one}` applies them late, `messaging accept-skipped {one} --reason '…'` leaves them out"
        for one in types[:2]
    )
    more = f"; and {len(types) - 2} more types" if len(types) > 2 else ""
    return f"events that this release reacts to were passed over since {since:%Y-%m-%d %H:%M}Z: {commands}{more}"
