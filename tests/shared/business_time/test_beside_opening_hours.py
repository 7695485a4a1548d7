"""The index beside the library opening-hours-py, in calendars that both mean alike.

The library is wrong, by what was decided here, where a clock jumps: of a repeated hour it sees one piece only. And a
rule for a date takes away the tail of the night before. So the zones are those without a jump in these years, and
nights are those of every day.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from opening_hours import OpeningHours, State

from shared.business_time.open_time import Stretch
from tests.shared.business_time.drawing import WEEK, Pairs, every, holds, indexed, sizes, windows
from tests.shared.business_time.stepping import Written

# Offsets of hours, half hours and quarters.
ZONES = ("America/Argentina/Buenos_Aires", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tokyo", "America/Caracas", "UTC")
FIRST, LAST = date(2017, 1, 1), date(2029, 12, 31)
NAMES = dict(zip(WEEK, ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"), strict=True))
DAYS = 60


@st.composite
def plain_calendars(draw: st.DrawFn) -> tuple[Written, date]:
    """A calendar whose windows lie within a day, with its dates around one."""
    day = draw(st.dates(FIRST, LAST))
    within_a_day = windows(draw(st.integers(0, 1440))).map(lambda drawn: [each for each in drawn if each[0] < each[1]])
    near = st.integers(0, DAYS).map(lambda days: (day + timedelta(days=days)).isoformat())
    written: Written = {
        "timezone": draw(st.sampled_from(ZONES)),
        "weekly": draw(st.dictionaries(st.sampled_from(WEEK), within_a_day, max_size=7)),
        "holidays": draw(st.lists(near, max_size=5, unique=True)),
        "special_days": draw(st.dictionaries(near, within_a_day, max_size=5)),
        "breaks": {},
    }
    return written, day


@st.composite
def calendars_of_nights(draw: st.DrawFn) -> tuple[Written, date]:
    """The same windows on every day, the last one mostly through the night."""
    everyday = draw(windows(draw(st.integers(0, 1440))))
    weekly = every(*((opening, closing) for opening, closing in everyday))
    written = {"timezone": draw(st.sampled_from(ZONES)), "weekly": weekly}
    return {"holidays": [], "special_days": {}, "breaks": {}, **written}, draw(st.dates(FIRST, LAST))


@sizes(60, 2_000)
def test_both_are_open_at_the_same_seconds(examples: int) -> None:
    def law(drawn: tuple[Written, date]) -> None:
        written, day = drawn
        index = indexed(written)
        start = int(datetime.combine(day, datetime.min.time(), ZoneInfo(written["timezone"])).timestamp())
        assert [*index.stretches(start, start + DAYS * 86_400)] == beside(written, start, start + DAYS * 86_400)

    holds(examples, plain_calendars() | calendars_of_nights(), law)


def beside(written: Written, start: int, end: int) -> list[Stretch]:
    """What the library says, with its neighbours of the same state as one."""
    zone = ZoneInfo(written["timezone"])
    library = OpeningHours(as_osm(written), timezone=zone)
    told = library.intervals(datetime.fromtimestamp(start, zone), datetime.fromtimestamp(end, zone))
    states = [(int(begins.timestamp()), state == State.OPEN) for begins, _, state, _ in told]
    changes = [states[0], *(this for before, this in pairwise(states) if this[1] != before[1])]
    ends = [*(begins for begins, _ in changes[1:]), end]
    return [Stretch(begins, until, is_open) for (begins, is_open), until in zip(changes, ends, strict=True)]


def as_osm(written: Written) -> str:
    """The calendar in the notation of OpenStreetMap, where a later rule wins over an earlier one."""
    dates: dict[str, Pairs] = {**{day: [] for day in written["holidays"]}, **written["special_days"]}
    rules = [f"{NAMES[day]} {_hours(pairs)}" for day, pairs in written["weekly"].items()]
    if len({*map(str, written["weekly"].values())}) == 1 and len(rules) == len(WEEK):
        rules = [f"Mo-Su {_hours(written['weekly']['mon'])}"]
    return "; ".join([*rules, *(f"{date.fromisoformat(day):%Y %b %d} {_hours(each)}" for day, each in dates.items())])


def _hours(pairs: Pairs) -> str:
    return ",".join(f"{opening}-{_beyond_midnight(opening, closing)}" for opening, closing in pairs) or "off"


def _beyond_midnight(opening: str, closing: str) -> str:
    return closing if closing > opening else f"{int(closing[:2]) + 24}{closing[2:]}"
