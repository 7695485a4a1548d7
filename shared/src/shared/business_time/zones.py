"""Time zones: the offset from UTC at each second, and which seconds show a wall-clock reading."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.business_time.intervals import Interval, merged
from shared.business_time.seconds import second

DAY = 86_400
# Calendars mean something in these years only; whoever asks for more is told so.
FIRST_YEAR, LAST_YEAR = 1900, 2500
REACH_START = second(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
REACH_END = second(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))
# No zone ever kept an offset for less than six days, so a look every few days misses no change; a test reads them all.
LOOK_EVERY = 3 * DAY
# About a year: as much of a zone is looked through at a time.
_BLOCK = 128 * LOOK_EVERY


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
    edges = [start, *(at for at in _changes(zone, start, end) if start < at < end), end]
    return [Segment(this, following, _offset(zone, this)) for this, following in pairwise(edges)]


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
    """What the wall clock shows at a second, as the second that it would be if the clock went by UTC."""
    return second(datetime.fromtimestamp(at, zone_info(zone)).replace(tzinfo=UTC))


# Every host must find the same seconds, so the zones are those of the locked package and never the machine's own.
@cache
def zone_info(name: str) -> ZoneInfo:
    """A zone as the locked package has it."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offset(zone: str, at: int) -> int:
    return wall_clock(zone, at) - at


def _changes(zone: str, start: int, end: int) -> Iterator[int]:
    for block in range(start // _BLOCK, -(-end // _BLOCK)):
        yield from _changes_of_block(zone, block)


@lru_cache(maxsize=8192)
def _changes_of_block(zone: str, block: int) -> tuple[int, ...]:
    looks = range(block * _BLOCK, (block + 1) * _BLOCK + 1, LOOK_EVERY)
    return tuple(at for before, after in pairwise(looks) for at in _changes_between(zone, before, after))


def _changes_between(zone: str, before: int, at: int) -> Iterator[int]:
    if _offset(zone, before) == _offset(zone, at):
        return
    if at - before == 1:
        yield at
        return
    middle = (before + at) // 2
    yield from _changes_between(zone, before, middle)
    yield from _changes_between(zone, middle, at)
