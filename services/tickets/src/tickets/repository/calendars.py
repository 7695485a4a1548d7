"""Calendars as the replica has them: a version never changes, so a process reads each once and keeps it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.business_time.known import CalendarName, In, KnownCalendars
from shared.business_time.open_time import OpenTime
from shared.contracts.calendars import WrittenCalendar
from shared.db.statement import query
from shared.db.transaction import Reader

_KNOWN = KnownCalendars()
_READ = query("""
    SELECT c.calendar_id, c.version, c.calendar::text AS calendar
      FROM unnest(CAST(:ids AS text[]), CAST(:versions AS int[])) w (calendar_id, version)
      JOIN tickets.calendars c ON c.calendar_id = w.calendar_id AND c.version = w.version
""")


def forget() -> None:
    """For another database, whose calendars may have the same names: whoever tests works on many."""
    _KNOWN.forget()


def named_in(counted_in: Sequence[Mapping[str, Any]]) -> list[In]:
    """The calendars that a clock counts in, from how they are stored."""
    return [
        In(datetime.fromisoformat(one["from_at"]), CalendarName(one["calendar_id"], one["calendar_version"]))
        for one in counted_in
    ]


async def learn_calendars(connection: Reader, names: Collection[CalendarName]) -> None:
    """Reads those of these that this process has not read yet; one that has not come is read when it has."""
    if missing := sorted(_KNOWN.missing(names)):
        asked = {"ids": [one.calendar_id for one in missing], "versions": [one.version for one in missing]}
        for row in await connection.fetch(_READ, asked):
            _KNOWN.learn(CalendarName(row.calendar_id, row.version), WrittenCalendar.model_validate_json(row.calendar))


def hours(counted_in: Sequence[In]) -> OpenTime | None:
    """What one of these after another counts, of calendars that were learnt; None where one of them has not come."""
    try:
        return _KNOWN.hours(counted_in)
    except KeyError:
        return None
