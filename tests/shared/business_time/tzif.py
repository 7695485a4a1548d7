"""The compiled zone files, read as RFC 9636 lays them out: what zoneinfo says is held against them."""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

_HEADER = struct.Struct(">4sc15x6l")
_NAME = r"(?:[A-Za-z]+|<[^>]+>)"
# How the clocks go when the list has ended: names, offsets west of UTC, and where summer begins and ends in each year.
_RULE = re.compile(rf"{_NAME}(?P<standard>[-+\d:]+)(?:{_NAME}(?P<summer>[-+\d:]*),(?P<begin>[^,]+),(?P<end>[^,]+))?$")


class Change(NamedTuple):
    """From a second on the wall clock is so many seconds ahead of UTC, and was otherwise before."""

    at: int
    offset: int


@cache
def changes(zone: str, until_year: int) -> tuple[Change, ...]:
    """Every change of a zone's offset up to the end of a year: as its file lists them, then as its rule says."""
    data = _data(zone)
    _, _, *counts = _HEADER.unpack_from(data)
    second_header = _HEADER.size + _length(counts)
    _, _, _, _, leaps, many, types, _ = _HEADER.unpack_from(data, second_header)
    assert leaps == 0, "seconds of these files are those of the epoch"
    start = second_header + _HEADER.size
    instants = struct.unpack_from(f">{many}q", data, start)
    offsets = [struct.unpack_from(">l", data, start + 9 * many + 6 * number)[0] for number in range(types)]
    listed = [Change(at, offsets[data[start + 8 * many + index]]) for index, at in enumerate(instants)]
    first_year = datetime.fromtimestamp(listed[-1].at, UTC).year if listed and listed[-1].at > 0 else 1970
    ruled = [each for each in _ruled(data, first_year, until_year) if not listed or each.at > listed[-1].at]
    told = [Change(-(1 << 62), offsets[0]), *listed, *ruled]
    return tuple(this for before, this in pairwise(told) if before.offset != this.offset)


def aliases() -> dict[bytes, list[str]]:
    """The zones by what their files hold; many have several names."""
    found: dict[bytes, list[str]] = {}
    for name in files("tzdata").joinpath("zones").read_text(encoding="utf-8").split():
        found.setdefault(_data(name), []).append(name)
    return found


@cache
def _data(zone: str) -> bytes:
    return files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()


def _length(counts: list[int]) -> int:
    """Of the first block, whose instants have four bytes; nobody reads it."""
    utc, standard, leaps, many, types, letters = counts
    return many * 5 + types * 6 + letters + leaps * 8 + standard + utc


def _ruled(data: bytes, first_year: int, until_year: int) -> list[Change]:
    rule = _RULE.match(data.rstrip(b"\n").rpartition(b"\n")[2].decode())
    assert rule is not None
    if rule["begin"] is None:
        return []
    standard = -_seconds(rule["standard"])
    summer = -_seconds(rule["summer"]) if rule["summer"] else standard + 3600
    return sorted(
        change
        for year in range(first_year, until_year + 1)
        for change in (
            Change(_wall(rule["begin"], year) - standard, summer),
            Change(_wall(rule["end"], year) - summer, standard),
        )
    )


def _wall(rule: str, year: int) -> int:
    """When it shows a place in the year: `M3.2.0/2` is the second Sunday of March at two, week 5 the last."""
    place, _, reading = rule.partition("/")
    midnight = datetime(year, 1, 1, tzinfo=UTC)
    if place.startswith("M"):
        month, week, weekday = (int(each) for each in place[1:].split("."))
        days = [day for day in _days(year, month) if day.isoweekday() % 7 == weekday]
        midnight = datetime.combine(days[-1] if week == 5 else days[week - 1], datetime.min.time(), UTC)
    else:
        assert not place.startswith("J")
        midnight += timedelta(days=int(place))
    return int(midnight.timestamp()) + _seconds(reading or "2")


def _days(year: int, month: int) -> list[date]:
    first = date(year, month, 1)
    return [day for day in (first + timedelta(days=number) for number in range(31)) if day.month == month]


def _seconds(said: str) -> int:
    hours, minutes, seconds, *_ = [*said.lstrip("+-").split(":"), "0", "0"]
    length = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return -length if said.startswith("-") else length
