"""Reads calendars: their versions, the draft, the years that somebody has to confirm, and a year day by day."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

from shared.business_time.calendar import read_calendar
from shared.business_time.preview import Day, days
from shared.business_time.seconds import instant
from shared.business_time.zones import zone_info
from shared.db.statement import query
from shared.db.transaction import Reader, Row
from sla.documents import CalendarFacts, DayFacts
from sla.domain.calendar import DayKind, NoSuchCalendar, NoSuchCalendarVersion, State, state_of

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


class VersionView(BaseModel):
    """A version of a calendar, without what is written in it."""

    version: int
    state: State = Field(description="planned: it counts from an instant to come; past: another one counts since")
    name: str
    effective_from: datetime | None = Field(description="null: for always, or not said yet")
    reason: str | None
    activated_at: datetime | None = Field(description="null: it is a draft")
    activated_by: str | None
    changed_at: datetime
    changed_by: str


class WrittenVersionView(VersionView):
    """A version of a calendar, whole."""

    calendar_id: str
    calendar: CalendarFacts


class YearView(BaseModel):
    """A year whose holidays were imported; provisional until somebody has confirmed it."""

    year: int
    imported_at: datetime
    imported_by: str
    confirmed_at: datetime | None
    confirmed_by: str | None


class CalendarView(BaseModel):
    """A calendar with its versions."""

    id: str
    name: str
    revision: int = Field(description="goes up with every change, of the draft and of the years too; its ETag")
    version: int | None = Field(description="the one that counts now; null: none so far")
    versions: list[VersionView] = Field(description="the latest first, the draft before all")
    years: list[YearView]
    confirmed_until: date | None = Field(description="the last day of the last confirmed year in a row; null: none is")
    clocks_to_switch: int = Field(description="clocks that do not count in the latest version yet; a job does these")


class DayView(BaseModel):
    """A date of a calendar: when the windows that begin on it are open, and why."""

    date: date
    weekday: Weekday
    kind: Literal["weekly", "holiday", "special"] = Field(
        description="weekly: as in every week; holiday: no window begins; special: windows of its own"
    )
    name: str | None = Field(description="null: nothing is said of this date")
    day_kind: DayKind | None
    windows: list[tuple[datetime, datetime]] = Field(description="in the time of the calendar, breaks cut out")
    open_seconds: int
    has_break: bool


class YearOfDays(BaseModel):
    """A year of a version of a calendar, day by day."""

    calendar_id: str
    version: int
    year: int
    confirmed: bool = Field(description="whether somebody has looked at its days")
    open_days: int
    open_seconds: int
    days: list[DayView]


_VERSION = "calendar_id, version, name, facts"
# The draft, if there is one, and every version that was activated.
_VERSIONS = f"""
    SELECT {_VERSION}, NULL AS effective_from, NULL AS reason, NULL AS activated_at, NULL AS activated_by,
           changed_at, changed_by FROM sla.calendar_drafts
    UNION ALL
    SELECT {_VERSION}, effective_from, reason, activated_at, activated_by, activated_at, activated_by
    FROM sla.calendar_versions
"""
_CALENDARS = query("""
    SELECT c.id, c.revision,
           (SELECT count(*) FROM sla.clocks k
             WHERE k.calendar_id = c.id AND k.course IN ('running', 'paused')
               AND k.calendar_version < (SELECT max(v.version) FROM sla.calendar_versions v WHERE v.calendar_id = c.id))
           AS clocks_to_switch
    FROM sla.calendars c WHERE CAST(:id AS text) IS NULL OR c.id = :id ORDER BY c.id
""")
_OF_CALENDARS = query(f"""
    SELECT * FROM ({_VERSIONS}) v WHERE CAST(:id AS text) IS NULL OR calendar_id = :id
    ORDER BY calendar_id, version DESC
""")
_YEARS = query("""
    SELECT * FROM sla.calendar_years WHERE CAST(:id AS text) IS NULL OR calendar_id = :id ORDER BY calendar_id, year
""")


async def list_calendars(tx: Reader, now: datetime, id: str | None = None) -> list[CalendarView]:
    """Every calendar by its id, or the one of an id, as it stands at `now`."""
    of = {"id": id}
    calendars = await tx.fetch(_CALENDARS, of)
    versions = _by_calendar(await tx.fetch(_OF_CALENDARS, of))
    years = _by_calendar(await tx.fetch(_YEARS, of))
    return [_calendar_view(row, versions.get(row.id, []), years.get(row.id, []), now) for row in calendars]


async def get_calendar(tx: Reader, id: str, now: datetime) -> CalendarView:
    """One calendar. Raises NoSuchCalendar."""
    for one in await list_calendars(tx, now, id):
        return one
    raise NoSuchCalendar(f"There is no calendar {id}: GET /v1/calendars lists those that there are.")


async def list_versions(tx: Reader, id: str, now: datetime) -> list[WrittenVersionView]:
    """Every version of a calendar whole, the latest first, the draft before all. Raises NoSuchCalendar."""
    rows = await tx.fetch(_OF_CALENDARS, {"id": id})
    if not rows:
        raise NoSuchCalendar(f"There is no calendar {id}: GET /v1/calendars lists those that there are.")
    return [
        WrittenVersionView(
            calendar_id=id, calendar=CalendarFacts.model_validate(row.facts), **_said_of(row, until, now)
        )
        for row, until in _with_ends(rows)
    ]


async def get_version(tx: Reader, id: str, version: int, now: datetime) -> WrittenVersionView:
    """One version, or the draft. Raises NoSuchCalendar, NoSuchCalendarVersion."""
    found = await list_versions(tx, id, now)
    for one in found:
        if one.version == version:
            return one
    known = ", ".join(str(one.version) for one in found)
    raise NoSuchCalendarVersion(f"{id} has no version {version}; there are: {known}.")


async def list_days(tx: Reader, id: str, year: int, version: int | None, now: datetime) -> YearOfDays:
    """A year day by day, in a version or in the one that counts now; in the draft where nothing counts yet.

    Raises NoSuchCalendar, NoSuchCalendarVersion.
    """
    known = await get_calendar(tx, id, now)
    one = await get_version(tx, id, version or known.version or known.versions[0].version, now)
    named = {day.date: day for day in one.calendar.days}
    zone = zone_info(one.calendar.timezone)
    shown = [
        _day_view(day, named.get(day.date), zone)
        for day in days(read_calendar(one.calendar.written()), date(year, 1, 1), date(year, 12, 31))
    ]
    return YearOfDays(
        calendar_id=id,
        version=one.version,
        year=year,
        confirmed=any(each.year == year and each.confirmed_at is not None for each in known.years),
        open_days=sum(1 for day in shown if day.open_seconds),
        open_seconds=sum(day.open_seconds for day in shown),
        days=shown,
    )


def _calendar_view(row: Row, versions: Sequence[Row], years: Sequence[Row], now: datetime) -> CalendarView:
    shown = [VersionView(**_said_of(each, until, now)) for each, until in _with_ends(versions)]
    in_force = next((one for one in shown if one.state == "in-force"), None)
    return CalendarView(
        id=row.id,
        name=(in_force or shown[0]).name,
        revision=row.revision,
        version=in_force.version if in_force else None,
        versions=shown,
        years=[YearView.model_validate(dict(each)) for each in years],
        confirmed_until=_confirmed_until(years),
        clocks_to_switch=row.clocks_to_switch,
    )


def _with_ends(versions: Sequence[Row]) -> Iterable[tuple[Row, datetime | None]]:
    """Each version, the latest first, with when a later one begins to count."""
    return zip(versions, [None, *(each.effective_from for each in versions)], strict=False)


def _said_of(row: Row, until: datetime | None, now: datetime) -> dict[str, Any]:
    names = ("version", "name", "effective_from", "reason", "activated_at", "activated_by", "changed_at", "changed_by")
    state = "draft" if row.activated_at is None else state_of(row.effective_from, until, now)
    return {"state": state, **{name: row[name] for name in names}}


def _confirmed_until(years: Sequence[Row]) -> date | None:
    """Provisional years before the first confirmed one are over or nobody's concern; the first gap after it counts."""
    last = None
    for row in years:
        if row.confirmed_at is not None and last in (None, row.year - 1):
            last = row.year
    return None if last is None else date(last, 12, 31)


def _day_view(day: Day, said: DayFacts | None, zone: tzinfo) -> DayView:
    return DayView(
        date=day.date,
        weekday=WEEKDAYS[day.weekday],
        kind=day.kind,
        name=said.name if said else None,
        day_kind=said.kind if said else None,
        windows=[(instant(start).astimezone(zone), instant(end).astimezone(zone)) for start, end in day.windows],
        open_seconds=day.open_seconds,
        has_break=day.has_break,
    )


def _by_calendar(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.calendar_id, []).append(row)
    return found
