"""Calendars and moments for properties: odd zones, nights, breaks, and mostly around what is hard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.business_time.calendar import NeverOpen, read_calendar
from shared.business_time.index import Index
from shared.business_time.zones import zone_names
from shared.contracts.calendars import WrittenCalendar
from tests.shared.business_time.stepping import Written, second, zone
from tests.shared.business_time.tzif import changes

T = TypeVar("T")
Pairs = list[tuple[str, str]]

# A date left out, half hours, quarters, Ramadan, jumps at midnight, two hours at once, and the customer's own.
ODD_ZONES = (
    "Africa/Casablanca", "America/Argentina/Buenos_Aires", "America/Argentina/San_Luis", "America/Argentina/Ushuaia",
    "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "America/Havana", "Antarctica/Troll", "Asia/Beirut",
    "Asia/Gaza", "Asia/Kathmandu", "Asia/Pyongyang", "Asia/Tehran", "Australia/Lord_Howe", "Europe/London",
    "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kwajalein", "UTC",
)  # fmt: skip
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKING = WEEK[:5]
# From here on windows and offsets of the odd zones keep to whole minutes.
EVEN_FROM, EVEN_UNTIL, LAST_DRAWN_YEAR = second("1973-01-01T00:00Z"), second("2060-01-01T00:00Z"), 2060
# Any year of the reach, but for a few days at both ends.
EARLIEST, LATEST = second("1900-01-20T00:00Z"), second("2500-12-10T00:00Z")


def every(*windows: tuple[str, str], days: tuple[str, ...] = WEEK) -> dict[str, Pairs]:
    """The same windows on several days of the week."""
    return {day: list(windows) for day in days}


def sizes(few: int, many: int) -> pytest.MarkDecorator:
    """How many examples a property is tried with: in `make test`, and in `make verify`."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.verify)])


def holds(examples: int, drawn: st.SearchStrategy[T], law: Callable[[T], None]) -> None:
    """Tries a law with so many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings(max_examples=examples, suppress_health_check=checks)(given(drawn)(law))()


@dataclass(frozen=True)
class Case:
    """A calendar, and a second near which it is looked at."""

    written: Written
    at: int

    def index(self) -> Index:
        """As the kernel counts it."""
        return indexed(self.written)


def indexed(written: Written) -> Index:
    """The calendar in the kernel; what never opens is drawn again."""
    try:
        return Index(read_calendar(WrittenCalendar.model_validate(written)))
    except NeverOpen:
        assume(False)
        raise


@st.composite
def moments(draw: st.DrawFn, name: str, first: int = EVEN_FROM, last: int = EVEN_UNTIL) -> int:
    """Any second, and often one near which the zone's clock jumps."""
    jumps = [each.at for each in changes(name, LAST_DRAWN_YEAR) if first < each.at < last]
    if draw(st.integers(0, 3)) and jumps:
        return draw(st.sampled_from(jumps)) + draw(st.integers(-100_000, 100_000) | st.integers(-2, 2))
    return draw(st.integers(first, last))


@st.composite
def calendars(draw: st.DrawFn, name: str, at: int) -> Written:
    """A calendar of a zone whose windows and dates lie around a second."""
    wall = datetime.fromtimestamp(at, zone(name))
    some = windows(wall.hour * 60 + wall.minute)
    dates = st.integers(-4, 6).map(lambda days: (wall.date() + timedelta(days=days)).isoformat())
    weekly = draw(st.dictionaries(st.sampled_from(WEEK), some, max_size=7))
    if draw(st.integers(0, 4)) == 0:
        everyday = draw(some)
        weekly = dict.fromkeys(WEEK, everyday)
    return {
        "timezone": name,
        "weekly": weekly,
        "holidays": draw(st.lists(dates, max_size=3, unique=True)),
        "special_days": draw(st.dictionaries(dates, some, max_size=2)),
        "breaks": draw(st.dictionaries(dates, some, max_size=2)),
    }


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A calendar of any odd zone around any second."""
    name = draw(st.sampled_from(ODD_ZONES))
    at = draw(moments(name))
    return Case(draw(calendars(name, at)), at)


@st.composite
def cases_anywhere(draw: st.DrawFn) -> Case:
    """A calendar of any zone that there is around any second of any year; offsets have seconds then."""
    name = draw(st.sampled_from(sorted(zone_names())))
    at = draw(moments(name, EARLIEST, LATEST))
    return Case(draw(calendars(name, at)), at)


@st.composite
def windows(draw: st.DrawFn, minute: int) -> Pairs:
    """Windows that do not overlap, the last one perhaps through the night."""
    near = st.integers(minute - 90, minute + 90).map(lambda each: each % 1441)
    usual = st.sampled_from([0, 1, 60, 119, 120, 121, 150, 180, 360, 540, 1080, 1320, 1380, 1439, 1440])
    marks = sorted(draw(st.lists(near | usual | st.integers(0, 1440), max_size=6, unique=True)))
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    if len(marks) % 2 and marks[-1] not in (0, 1440):
        pairs.append((marks[-1], draw(st.integers(0, marks[-1] - 1))))
    if draw(st.integers(0, 7)) == 0:
        pairs = [(0, 1440)]
    return [(_reading(opening), _reading(closing)) for opening, closing in pairs]


def _reading(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
