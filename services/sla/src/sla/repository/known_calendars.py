"""The versions of calendars that this process counts in, and which of them holds when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from zoneinfo import ZoneInfo

from shared.business_time.known import CalendarName, KnownCalendars
from shared.business_time.open_time import OpenTime
from shared.business_time.zones import zone_info
from shared.contracts.calendars import WrittenCalendar
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Row, Transaction
from sla.domain.switching import Activated, one_after_another

# By calendar, each by its number.
Versions = Mapping[str, list[Activated]]

_KNOWN = KnownCalendars()
_READ = query("""
    SELECT v.calendar_id, v.version, v.definition FROM sla.calendar_versions v
      JOIN unnest(CAST(:ids AS text[]), CAST(:versions AS int[])) AS w(calendar_id, version)
     USING (calendar_id, version)
""")
# Whoever activates a version locks its calendar for that: what is read here is either all, or comes before it.
_ACTIVATED = sql("""
    SELECT v.calendar_id, v.version, v.effective_from, v.activated_at
      FROM sla.calendars c JOIN sla.calendar_versions v ON v.calendar_id = c.id
     WHERE c.id = ANY(CAST(:ids AS text[])) AND v.activated_at IS NOT NULL
     ORDER BY c.id, v.version FOR SHARE OF c
""")

_ALL_ACTIVATED = query("""
    SELECT v.calendar_id, v.version, v.effective_from, v.activated_at FROM sla.calendar_versions v
     ORDER BY v.calendar_id, v.version
""")


def forget() -> None:
    """For another database, whose calendars may have the same names: whoever tests works on many."""
    _KNOWN.forget()


async def know(tx: Reader, names: Iterable[CalendarName]) -> KnownCalendars:
    """Every calendar that this process knows, these among them."""
    missing = sorted(_KNOWN.missing(names))
    if missing:
        wanted = {"ids": [one.calendar_id for one in missing], "versions": [one.version for one in missing]}
        for row in await tx.fetch(_READ, wanted):
            _KNOWN.learn(CalendarName(row.calendar_id, row.version), WrittenCalendar.model_validate(row.definition))
    return _KNOWN


async def zone_of(tx: Reader, name: CalendarName) -> ZoneInfo:
    """The time zone of a version."""
    return zone_info((await know(tx, [name])).calendar(name).timezone)


async def share_activated(tx: Transaction, ids: Collection[str]) -> Versions:
    """The activated versions of these calendars; until the end of the transaction no other is activated."""
    return _by_calendar(await tx.fetch(_ACTIVATED, {"ids": sorted(ids)}))


async def hours_of_all(tx: Reader) -> dict[str, OpenTime]:
    """What each calendar counts, one version after another, by its id."""
    return {calendar: hours for calendar, (_, hours) in (await calendars_in_force(tx)).items()}


async def calendars_in_force(tx: Reader) -> dict[str, tuple[list[Activated], OpenTime]]:
    """The activated versions of each calendar, and what they count one after another."""
    versions = _by_calendar(await tx.fetch(_ALL_ACTIVATED))
    known = await know(tx, {CalendarName(one, each.version) for one, ones in versions.items() for each in ones})
    return {one: (ones, known.hours(one_after_another(one, ones))) for one, ones in versions.items()}


def _by_calendar(rows: Iterable[Row]) -> Versions:
    found: dict[str, list[Activated]] = {}
    for row in rows:
        found.setdefault(row.calendar_id, []).append(Activated(row.version, row.effective_from, row.activated_at))
    return found
