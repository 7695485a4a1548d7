"""A calendar as the arithmetic knows it: wall-clock windows of each date, read from how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from shared.business_time.intervals import Interval, merged, without
from shared.business_time.zones import DAY, FIRST_YEAR, LAST_YEAR, instants, zone_names
from shared.contracts.calendars import WrittenCalendar, WrittenWindows
from shared.errors import Invalid

# Wall-clock seconds from the midnight of its date; what closes on the next day has an end of more than a day.
Window = tuple[int, int]
Windows = tuple[Window, ...]

_EPOCH = date(1970, 1, 1).toordinal()
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class CalendarMakesNoSense(Invalid):
    """What is written is no calendar; the message names the place."""

    code = "calendar-makes-no-sense"
    title = "The calendar makes no sense"


class NeverOpen(Invalid):
    """A calendar in which no second counts, so that whatever is counted in it would never be due."""

    code = "calendar-never-open"
    title = "The calendar never opens"


@dataclass(frozen=True, slots=True)
class Calendar:
    """When business is open. `weekly` begins on Monday; a special day's windows win over those of a holiday."""

    timezone: str
    weekly: tuple[Windows, Windows, Windows, Windows, Windows, Windows, Windows]
    holidays: frozenset[date]
    special_days: Mapping[date, Windows]
    breaks: Mapping[date, Windows]

    def windows(self, day: date) -> Windows:
        """The windows that begin on a date, breaks not yet cut out."""
        special = self.special_days.get(day)
        if special is not None:
            return special
        return () if day in self.holidays else self.weekly[day.weekday()]

    def break_windows(self, day: date) -> Windows:
        """What is closed on a date whatever else is said; until the next morning where it lasts the night."""
        return self.breaks.get(day, ())

    def open_readings(self, first: int, last: int) -> list[Interval]:
        """The wall-clock readings at which the windows of some dates are open: those that begin on them, less breaks.

        Dates are numbered as `day_number` does; a reading is the second that it would be if the clock went by UTC.
        """
        opened = merged(_readings(first, last, self.windows))
        if not self.breaks:
            return opened
        # A break of the night before, or of the morning after, reaches into the windows of a date.
        return without(opened, merged(_readings(first - 1, last + 1, self.break_windows)))

    def open_seconds(self, start: int, end: int) -> list[Interval]:
        """What is open from one second to before another."""
        # A wall clock is less than a day from UTC, and what began the night before may still be open.
        readings = self.open_readings(start // DAY - 2, end // DAY + 1)
        return instants(self.timezone, readings, start, end)

    def open_on(self, day: int) -> list[Interval]:
        """When the windows that begin on one date are open."""
        midnight = day * DAY
        return instants(self.timezone, self.open_readings(day, day), midnight - DAY, midnight + 3 * DAY)

    def dated(self) -> set[date]:
        """The dates on which it may be otherwise than in every week."""
        return {*self.holidays, *self.special_days, *self.breaks}


def day_number(day: date) -> int:
    """A date as days since that of the epoch."""
    return day.toordinal() - _EPOCH


def date_of(number: int) -> date:
    """The date of a number of days."""
    return date.fromordinal(number + _EPOCH)


def read_calendar(written: WrittenCalendar) -> Calendar:
    """The calendar as it is meant. Raises CalendarMakesNoSense, and NeverOpen for one in which no second counts."""
    if written.timezone not in zone_names():
        raise CalendarMakesNoSense(
            f"timezone {written.timezone!r} is not known: say an IANA name such as America/Argentina/Buenos_Aires"
        )
    week = written.weekly
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (
        _read_windows(f"weekly.{day}", getattr(week, day)) for day in _WEEK
    )
    calendar = Calendar(
        timezone=written.timezone,
        weekly=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        holidays=frozenset(_in_reach("holidays", day) for day in written.holidays),
        special_days=_read_dates("special_days", written.special_days),
        breaks=_read_dates("breaks", written.breaks),
    )
    if not any(calendar.weekly) and not any(calendar.open_on(day_number(day)) for day in calendar.special_days):
        raise NeverOpen("no day of the week and no special day has a window that is ever open: give it one")
    return calendar


def _read_dates(place: str, written: Mapping[date, WrittenWindows]) -> dict[date, Windows]:
    return {_in_reach(place, day): _read_windows(f"{place}.{day}", windows) for day, windows in written.items()}


def _in_reach(place: str, day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise CalendarMakesNoSense(f"{place}: {day} is not between {FIRST_YEAR} and {LAST_YEAR}; is the year right?")
    return day


def _read_windows(place: str, written: WrittenWindows) -> Windows:
    windows = sorted(_read_window(place, opening, closing) for opening, closing in written)
    for (_, closing), (opening, _) in pairwise(windows):
        if opening < closing:
            raise CalendarMakesNoSense(f"{place}: two windows overlap at {_said(opening)}; make one of them")
    return tuple(windows)


def _read_window(place: str, opening: str, closing: str) -> Window:
    start, end = _seconds(opening), _seconds(closing)
    if start == DAY:
        raise CalendarMakesNoSense(f"{place}: a window opens at 24:00; write it from 00:00 on the next day")
    if start == end:
        raise CalendarMakesNoSense(
            f"{place}: a window closes when it opens, at {opening}; a whole day is 00:00 to 24:00"
        )
    return start, end if end > start else end + DAY


def _seconds(reading: str) -> int:
    hours, minutes = reading.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def _said(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def _readings(first: int, last: int, windows: Callable[[date], Windows]) -> Iterator[Interval]:
    for day in range(first, last + 1):
        midnight = day * DAY
        for opening, closing in windows(date_of(day)):
            yield midnight + opening, midnight + closing
