"""How a calendar is read: what each way of writing means, and what is refused with what to do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from shared.business_time.calendar import (
    Calendar,
    CalendarMakesNoSense,
    NeverOpen,
    date_of,
    day_number,
    read_calendar,
)
from shared.contracts.calendars import WrittenCalendar

HOUR = 3_600


def read(**written: Any) -> Calendar:
    """A calendar of Buenos Aires with windows on Mondays, unless it is said otherwise."""
    usual = {"timezone": "America/Argentina/Buenos_Aires", "weekly": {"mon": [("09:00", "18:00")]}}
    return read_calendar(WrittenCalendar.model_validate(usual | written))


def test_every_part_is_read() -> None:
    weekly = {
        day: [(f"0{number}:00", "10:30")]
        for number, day in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    }
    calendar = read(
        weekly=weekly,
        holidays=["2026-07-09"],
        special_days={"2026-12-24": [("09:00", "13:00")], "2026-12-31": []},
        breaks={"2026-07-10": [("12:00", "13:00")]},
    )
    assert calendar == Calendar(
        timezone="America/Argentina/Buenos_Aires",
        weekly=tuple(((number * HOUR, 10 * HOUR + 1_800),) for number in range(7)),  # type: ignore[arg-type]
        holidays=frozenset({date(2026, 7, 9)}),
        special_days={date(2026, 12, 24): ((9 * HOUR, 13 * HOUR),), date(2026, 12, 31): ()},
        breaks={date(2026, 7, 10): ((12 * HOUR, 13 * HOUR),)},
    )


@pytest.mark.parametrize(
    ("opening", "closing", "window"),
    [
        ("09:00", "18:30", (9 * HOUR, 18 * HOUR + 1_800)),
        ("00:00", "24:00", (0, 24 * HOUR)),
        ("00:00", "00:01", (0, 60)),
        ("22:00", "06:00", (22 * HOUR, 30 * HOUR)),
        ("22:00", "24:00", (22 * HOUR, 24 * HOUR)),
        ("22:00", "00:00", (22 * HOUR, 24 * HOUR)),
        ("00:01", "00:00", (60, 24 * HOUR)),
        ("23:59", "23:58", (24 * HOUR - 60, 48 * HOUR - 120)),
    ],
)
def test_what_closes_no_later_than_it_opens_closes_on_the_next_day(
    opening: str, closing: str, window: tuple[int, int]
) -> None:
    assert read(weekly={"wed": [(opening, closing)]}).weekly[2] == (window,)


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ([("09:00", "09:00")], "weekly.mon: a window closes when it opens, at 09:00; a whole day is 00:00 to 24:00"),
        ([("00:00", "00:00")], "weekly.mon: a window closes when it opens, at 00:00; a whole day is 00:00 to 24:00"),
        ([("24:00", "24:00")], "weekly.mon: a window opens at 24:00; write it from 00:00 on the next day"),
        ([("24:00", "06:00")], "weekly.mon: a window opens at 24:00; write it from 00:00 on the next day"),
        ([("09:00", "13:00"), ("12:59", "18:00")], "weekly.mon: two windows overlap at 12:59; make one of them"),
        ([("14:00", "18:00"), ("09:00", "15:00")], "weekly.mon: two windows overlap at 14:00; make one of them"),
        ([("09:00", "18:00"), ("09:00", "18:00")], "weekly.mon: two windows overlap at 09:00; make one of them"),
        ([("22:00", "06:00"), ("23:00", "23:30")], "weekly.mon: two windows overlap at 23:00; make one of them"),
    ],
)
def test_windows_that_make_no_sense_are_refused(windows: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(CalendarMakesNoSense) as refused:
        read(weekly={"mon": windows})
    assert refused.value.message == told


@pytest.mark.parametrize("place", ["special_days", "breaks"])
def test_a_date_that_makes_no_sense_is_named(place: str) -> None:
    with pytest.raises(CalendarMakesNoSense, match=f"{place}.2026-12-24: two windows overlap at 10:00"):
        read(**{place: {"2026-12-24": [("09:00", "11:00"), ("10:00", "12:00")]}})
    for day in ("1899-12-31", "2501-01-01"):
        with pytest.raises(
            CalendarMakesNoSense, match=f"{place}: {day} is not between 1900 and 2500; is the year right"
        ):
            read(**{place: {day: [("09:00", "11:00")]}})
    read(**{place: {"1900-01-01": [("09:00", "11:00")], "2500-12-31": [("09:00", "11:00")]}})


def test_a_holiday_of_another_age_is_refused() -> None:
    with pytest.raises(CalendarMakesNoSense, match="holidays: 0206-07-09 is not between 1900 and 2500"):
        read(holidays=["0206-07-09"])


def test_windows_that_touch_and_the_tail_of_the_night_before_are_fine() -> None:
    calendar = read(
        weekly={"mon": [("13:00", "18:00"), ("09:00", "13:00"), ("20:00", "10:00")], "tue": [("09:00", "12:00")]}
    )
    assert calendar.weekly[0] == ((9 * HOUR, 13 * HOUR), (13 * HOUR, 18 * HOUR), (20 * HOUR, 34 * HOUR))
    day = day_number(date(2026, 3, 2))
    midnight = day * 86_400
    assert calendar.open_readings(day, day + 1) == [
        (midnight + 9 * HOUR, midnight + 18 * HOUR),
        (midnight + 20 * HOUR, midnight + 36 * HOUR),
    ]


@pytest.mark.parametrize(
    "name", ["", "Argentina", "America/Argentina", "../America/Lima", "america/lima", "UTC+3", "x" * 65]
)
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises((CalendarMakesNoSense, ValidationError)) as refused:
        read(timezone=name)
    if isinstance(refused.value, CalendarMakesNoSense):
        assert refused.value.message.startswith(f"timezone '{name}' is not known: say an IANA name such as America/")


NEVER = [
    {},
    {"weekly": {"mon": []}},
    {"special_days": {"2026-01-05": []}},
    {"special_days": {"2026-01-05": [("09:00", "10:00")]}, "breaks": {"2026-01-05": [("08:00", "11:00")]}},
    {"special_days": {"2026-01-05": [("22:00", "02:00")]}, "breaks": {"2026-01-05": [("20:00", "02:00")]}},
    {"timezone": "Europe/London", "special_days": {"2026-03-29": [("01:00", "02:00")]}},
    {"timezone": "Pacific/Apia", "special_days": {"2011-12-30": [("00:00", "24:00")]}},
]


@pytest.mark.parametrize("written", NEVER)
def test_a_calendar_that_never_opens_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(NeverOpen) as refused:
        read(**({"weekly": {}} | written))
    told = "no day of the week and no special day has a window that is ever open: give it one"
    assert refused.value.message == told


@pytest.mark.parametrize(
    "written",
    [
        {"weekly": {"sun": [("00:00", "00:01")]}},
        {"special_days": {"2026-01-05": [("09:00", "10:00")]}, "breaks": {"2026-01-05": [("09:00", "09:59")]}},
        {"special_days": {"2026-01-05": [("22:00", "02:01")]}, "breaks": {"2026-01-05": [("20:00", "02:00")]}},
        {"timezone": "Europe/London", "special_days": {"2026-03-29": [("01:00", "02:01")]}},
        {"timezone": "Pacific/Apia", "special_days": {"2011-12-30": [("22:00", "00:01")]}},
    ],
)
def test_a_calendar_that_opens_a_minute_in_all_its_life_is_one(written: dict[str, Any]) -> None:
    read(**({"weekly": {}} | written))


def test_days_are_numbered_from_the_epoch() -> None:
    assert [day_number(date(1970, 1, 1)), day_number(date(1969, 12, 31)), day_number(date(2026, 3, 2))] == [
        0,
        -1,
        20_514,
    ]
    assert date_of(20_514) == date(2026, 3, 2)
