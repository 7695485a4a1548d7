"""Calendars: what is said of single dates, and when a version of a calendar may begin to count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal

from shared.business_time.calendar import NeverOpen, read_calendar
from shared.business_time.seconds import begun_second, instant
from shared.contracts.calendars import WrittenCalendar, WrittenWeek, WrittenWindows
from shared.contracts.sla import CalendarRecorded
from shared.errors import Conflict, Invalid, NotFound

# A public holiday; the day between one and a weekend; one on which whoever wants to works; hours of their own.
DayKind = Literal["feriado", "puente", "no-laborable", "horario-especial"]
State = Literal["draft", "planned", "in-force", "past"]

# Of other years nothing can be said that is any better than a guess.
FIRST_YEAR, LAST_YEAR = 2000, 2100


class DayTwice(Invalid):
    """A date has one row: two might say two things."""

    code = "day-twice"
    title = "The same date is there twice"


class NoSuchCalendar(NotFound):
    """There is no calendar of this id."""

    code = "no-such-calendar"
    title = "There is no such calendar"


class NoSuchCalendarVersion(NotFound):
    """The calendar has no version of this number."""

    code = "no-such-calendar-version"
    title = "The calendar has no such version"


class VersionActivated(Conflict):
    """A version that counts never changes and is not activated again."""

    code = "version-activated"
    title = "The version counts already"


class BeginsBeforeTheVersionBefore(Invalid):
    """A version begins where the one before it holds."""

    code = "begins-before-the-version-before"
    title = "The version would begin before the one that it follows"


class PastBeginNeedsReason(Invalid):
    """What changes dues that were told already says why."""

    code = "past-begin-needs-reason"
    title = "A beginning in the past needs a reason"


class FirstVersionIsForAlways(Invalid):
    """Whatever a calendar has no other version for is counted in its first one."""

    code = "first-version-is-for-always"
    title = "The first version of a calendar has no beginning"


class NoSuchYear(NotFound):
    """Nothing was imported for this year, so there is nothing to confirm."""

    code = "no-such-year"
    title = "The calendar has no days of this year"


@dataclass(frozen=True, slots=True)
class DatedDay:
    """What is otherwise on one date. Without `windows` it is closed where the calendar closes on its kind."""

    date: date
    name: str
    kind: DayKind
    windows: WrittenWindows | None = None
    breaks: WrittenWindows = ()


@dataclass(frozen=True, slots=True)
class YearlyDay:
    """What is otherwise on the same date of each year; `day` is its month and day, 12-24."""

    day: str
    name: str
    kind: DayKind
    windows: WrittenWindows | None = None
    breaks: WrittenWindows = ()

    def of(self, year: int) -> DatedDay | None:
        """The day of one year; None for the 29th of February of most."""
        try:
            on = date.fromisoformat(f"{year}-{self.day}")
        except ValueError:
            return None
        return DatedDay(on, self.name, self.kind, self.windows, self.breaks)


@dataclass(frozen=True, slots=True)
class CalendarVersion:
    """One version of one calendar. `effective_from` is None for the first one, which is for always."""

    calendar_id: str
    version: int
    name: str
    calendar: WrittenCalendar
    effective_from: datetime | None = None

    def recorded(self) -> CalendarRecorded:
        """The version as the other services keep it."""
        return CalendarRecorded(
            id=f"{self.calendar_id}-v{self.version}",
            calendar_id=self.calendar_id,
            version=self.version,
            name=self.name,
            effective_from=self.effective_from,
            calendar=self.calendar,
        )


def written_calendar(
    timezone: str, weekly: WrittenWeek, closed_on: Collection[DayKind], days: Sequence[DatedDay]
) -> WrittenCalendar:
    """What of a calendar counts: a day with windows opens in these, one of a kind on which it closes does not open.

    Raises DayTwice, CalendarMakesNoSense, NeverOpen.
    """
    if not any(windows for _, windows in weekly):
        raise NeverOpen("no day of the week has a window, and single dates come to an end: give the week one")
    ordered = sorted(days, key=lambda day: day.date)
    for one, following in pairwise(ordered):
        if one.date == following.date:
            raise DayTwice(f"{one.date} is {one.name} and {following.name}: keep one row for each date.")
    calendar = WrittenCalendar(
        timezone=timezone,
        weekly=weekly,
        holidays=tuple(one.date for one in ordered if one.windows is None and one.kind in closed_on),
        special_days={one.date: one.windows for one in ordered if one.windows is not None},
        breaks={one.date: one.breaks for one in ordered if one.breaks},
    )
    read_calendar(calendar)
    return calendar


def with_year(
    days: Iterable[DatedDay], yearly: Iterable[YearlyDay], holidays: Iterable[DatedDay], year: int
) -> tuple[DatedDay, ...]:
    """The days with those of one more year. What is said of a date stays: somebody may have changed it.

    A holiday comes before what is said of every year.
    """
    of_the_year = [day for one in yearly if (day := one.of(year)) is not None]
    found = {one.date: one for one in (*of_the_year, *holidays, *days)}
    return tuple(found[on] for on in sorted(found))


def begin_of(
    version: int, before: CalendarVersion | None, wanted: datetime | None, now: datetime, reason: str | None
) -> datetime | None:
    """From when on a version counts: `wanted` as a whole second, now where nobody says; None for the first one.

    Raises FirstVersionIsForAlways, BeginsBeforeTheVersionBefore, PastBeginNeedsReason.
    """
    if before is None:
        if wanted is not None:
            raise FirstVersionIsForAlways(
                f"Version {version} is the first that counts, so it counts for always: leave effective_from out."
            )
        return None
    begins = instant(begun_second(now if wanted is None else wanted))
    if before.effective_from is not None and begins < before.effective_from:
        raise BeginsBeforeTheVersionBefore(
            f"Version {before.version} begins at {before.effective_from.isoformat()}: let version {version} begin then "
            "or later."
        )
    if wanted is not None and wanted < now and not reason:
        raise PastBeginNeedsReason(
            f"{wanted.isoformat()} lies before now, {now.isoformat()}, and dues that were told will change: say in "
            "reason why, or leave effective_from out."
        )
    return begins


def state_of(effective_from: datetime | None, until: datetime | None, now: datetime) -> State:
    """Where a version that was activated stands at an instant; `until` is when another one begins to count."""
    if effective_from is not None and effective_from > now:
        return "planned"
    return "past" if until is not None and until <= now else "in-force"
