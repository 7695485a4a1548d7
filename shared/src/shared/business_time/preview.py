"""A calendar day by day, as somebody checks it who has to confirm a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from shared.business_time.calendar import Calendar, date_of, day_number
from shared.business_time.intervals import Interval

Kind = Literal["weekly", "holiday", "special"]


@dataclass(frozen=True, slots=True)
class Day:
    """A date: why it is as it is, and when the windows that begin on it are open, breaks cut out.

    `windows` are seconds since the epoch, each from its opening to its closing; `weekday` is 0 on Monday.
    """

    date: date
    weekday: int
    kind: Kind
    windows: tuple[Interval, ...]
    open_seconds: int
    has_break: bool


def days(calendar: Calendar, first: date, last: date) -> list[Day]:
    """The dates from the first to the last, both included."""
    return [_day(calendar, date_of(number)) for number in range(day_number(first), day_number(last) + 1)]


def _day(calendar: Calendar, day: date) -> Day:
    windows = tuple(calendar.open_on(day_number(day)))
    return Day(
        date=day,
        weekday=day.weekday(),
        kind=_kind(calendar, day),
        windows=windows,
        open_seconds=sum(closing - opening for opening, closing in windows),
        has_break=day in calendar.breaks,
    )


def _kind(calendar: Calendar, day: date) -> Kind:
    if day in calendar.special_days:
        return "special"
    return "holiday" if day in calendar.holidays else "weekly"
