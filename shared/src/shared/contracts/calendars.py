"""How a calendar is written: opening windows of a week, and the dates on which it is otherwise."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from shared.contracts.envelope import Part

Reading = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples=["09:00"])]
WrittenWindow = Annotated[tuple[Reading, ...], Field(min_length=2, max_length=2, examples=[["09:00", "18:00"]])]
WrittenWindows = Annotated[tuple[WrittenWindow, ...], Field(max_length=24)]


class WrittenWeek(Part):
    """The windows that begin on each day of the week; a day that is left out is closed.

    A window is its opening and its closing, as the wall clock shows them: what closes before it opens closes on the
    next day, and 24:00 is the end of the day.
    """

    mon: WrittenWindows = ()
    tue: WrittenWindows = ()
    wed: WrittenWindows = ()
    thu: WrittenWindows = ()
    fri: WrittenWindows = ()
    sat: WrittenWindows = ()
    sun: WrittenWindows = ()


class WrittenCalendar(Part):
    """When business is open: while the wall clock shows a reading within a window of its date or of the night before.

    So a reading that is left out when clocks change is never open, and one that is repeated is open twice.
    """

    timezone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="an IANA time zone", examples=["America/Argentina/Buenos_Aires"]
    )
    weekly: WrittenWeek = WrittenWeek()
    holidays: tuple[date, ...] = Field(
        default=(), max_length=4000, description="dates on which no window begins; the tail of the night before stays"
    )
    special_days: dict[date, WrittenWindows] = Field(
        default={},
        max_length=4000,
        description="dates on which these windows begin in place of the week's, also on holidays",
    )
    breaks: dict[date, WrittenWindows] = Field(
        default={},
        max_length=4000,
        description="windows of a date in which all is closed, also what began the night before",
    )
