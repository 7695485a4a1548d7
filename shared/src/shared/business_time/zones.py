"""Time zones: the offset from UTC at each second, and which seconds show a wall-clock reading."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.business_time.intervals import Interval, merged

DAY = 86_400
# Calendars mean something in these years only; whoever asks for more is told so.
FIRST_YEAR, LAST_YEAR = 1900, 2500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
REACH_START = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND
REACH_END = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND
# About a year: as much of a zone is looked through at a time.
_BLOCK = 400 * DAY


class Segment(NamedTuple):
    """From one second to before another the wall clock is so many seconds ahead of UTC."""

    start: int
    end: int
    offset: int


@cache
def zone_names() -> frozenset[str]:
    """The time zones that there are."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def segments(zone: str, start: int, end: int) -> list[Segment]:
    """The offsets of a zone from `start` to before `end`, without a gap."""
    edges = [start, *(at for at in _changes(zone, start, end) if start < at < end)]
    return [
        Segment(this, following, _offset(zone, this)) for this, following in zip(edges, [*edges[1:], end], strict=True)
    ]


def instants(zone: str, wall: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """The seconds from `start` to before `end` at which the wall clock shows one of these readings.

    `wall` is merged, and counts the readings of a clock as if it went by UTC. A reading that a spring gap leaves out is
    shown at no second, one of the repeated hour at two.
    """
    ends = [closing for _, closing in wall]
    found: list[Interval] = []
    for first, last, offset in segments(zone, start, end):
        for index in range(bisect_right(ends, first + offset), len(wall)):
            opening, closing = wall[index]
            if opening >= last + offset:
                break
            found.append((max(opening - offset, first), min(closing - offset, last)))
    return merged(found)


def wall_clock(zone: str, at: int) -> int:
    """What the wall clock shows at a second, as if it went by UTC."""
    return at + _offset(zone, at)


# Every host must find the same seconds, so the zones are those of the locked package and never the machine's own.
@cache
def _zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offset(zone: str, at: int) -> int:
    offset = datetime.fromtimestamp(at, _zone(zone)).utcoffset()
    assert offset is not None
    return offset // _SECOND


def _changes(zone: str, start: int, end: int) -> Iterator[int]:
    for block in range(start // _BLOCK, -(-end // _BLOCK)):
        yield from _changes_of_block(zone, block)


# No zone changes twice within a day and is then as it was before; a test looks at all of them.
@lru_cache(maxsize=8192)
def _changes_of_block(zone: str, block: int) -> tuple[int, ...]:
    days = range(block * _BLOCK, (block + 1) * _BLOCK + 1, DAY)
    offsets = [_offset(zone, day) for day in days]
    return tuple(
        at
        for index, day in enumerate(days[:-1])
        if offsets[index] != offsets[index + 1]
        for at in _changes_between(zone, day, day + DAY)
    )


def _changes_between(zone: str, before: int, at: int) -> Iterator[int]:
    if _offset(zone, before) == _offset(zone, at):
        return
    if at - before == 1:
        yield at
        return
    middle = (before + at) // 2
    yield from _changes_between(zone, before, middle)
    yield from _changes_between(zone, middle, at)
