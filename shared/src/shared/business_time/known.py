"""The versions of calendars that a process has read: they never change, so each is read and built once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.business_time.calendar import Calendar, read_calendar
from shared.business_time.index import Index
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import second
from shared.business_time.timeline import Timeline
from shared.contracts.calendars import WrittenCalendar

# So many orders of versions are kept: as many as there are activations within the life of a clock, and some.
_MOST_TIMELINES = 500


class CalendarName(NamedTuple):
    """One version of one calendar."""

    calendar_id: str
    version: int


class In(NamedTuple):
    """The calendar that counts from an instant on, until the next one does; the first one counts from ever."""

    from_at: datetime
    calendar: CalendarName


class Calendars(Protocol):
    """Where the hours of calendars come from."""

    def hours(self, counted_in: Sequence[In], /) -> OpenTime:
        """What one calendar after another counts."""
        ...


class KnownCalendars:
    """Calendars by name, each with its index."""

    def __init__(self) -> None:
        self._indices: dict[CalendarName, Index] = {}
        self._timelines: dict[tuple[In, ...], Timeline] = {}

    def missing(self, names: Iterable[CalendarName]) -> set[CalendarName]:
        """Those that are still to be read."""
        return {name for name in names if name not in self._indices}

    def learn(self, name: CalendarName, written: WrittenCalendar) -> None:
        """Takes up a version; one that is known stays as it is."""
        self._indices.setdefault(name, Index(read_calendar(written)))

    def calendar(self, name: CalendarName) -> Calendar:
        """One version. Raises KeyError for one that was not read."""
        return self._indices[name].calendar

    def forget(self) -> None:
        """Knows nothing any more."""
        self._indices.clear()
        self._timelines.clear()

    def hours(self, counted_in: Sequence[In], /) -> OpenTime:
        """What one calendar after another counts. Raises KeyError for one that was not read."""
        first, *others = counted_in
        if not others:
            return self._indices[first.calendar]
        # Clocks that are switched at once have all but their beginning in common, and that decides nothing.
        key = (first._replace(from_at=others[0].from_at), *others)
        found = self._timelines.get(key)
        if found is None:
            later = [(second(one.from_at), self._indices[one.calendar]) for one in others]
            found = Timeline([(None, self._indices[first.calendar]), *later])
            if len(self._timelines) >= _MOST_TIMELINES:
                self._timelines.clear()
            self._timelines[key] = found
        return found
