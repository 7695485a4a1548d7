"""Until when a settled ticket may come back: the closing of so many business days after that of its resolution."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.business_time.calendar import read_calendar
from shared.business_time.index import Index
from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from tests.tickets.domain.tickets import closing_after
from tickets.domain.closing import ClosingTerms, usual_terms, windows_after

OFFICE = (("09:00", "18:00"),)
WEEKDAYS = WrittenWeek(mon=OFFICE, tue=OFFICE, wed=OFFICE, thu=OFFICE, fri=OFFICE)


def terms(reopen_days: int, objection_days: int, **written: Any) -> ClosingTerms:
    """Days of Comercial, unless something else is written."""
    usual: dict[str, Any] = {"timezone": "America/Argentina/Buenos_Aires", "weekly": WEEKDAYS}
    calendar = WrittenCalendar(**(usual | {"holidays": (date(2026, 11, 23), date(2026, 12, 8))} | written))
    return ClosingTerms(reopen_days, objection_days, Index(read_calendar(calendar)))


def there(text: str) -> datetime:
    """An instant as the clock on the wall of Buenos Aires has it."""
    return datetime.fromisoformat(f"{text}-03:00")


@pytest.mark.parametrize(
    ("resolved", "closes", "reopenable"),
    [
        # Friday, ten minutes before closing: that Friday does not count, the weekend neither.
        ("2026-11-06 17:50", "2026-11-11 18:00", "2026-11-13 18:00"),
        # At the closing itself, in the evening and at the weekend it is the same Friday, or no business day at all.
        ("2026-11-06 18:00", "2026-11-11 18:00", "2026-11-13 18:00"),
        ("2026-11-06 23:30", "2026-11-11 18:00", "2026-11-13 18:00"),
        ("2026-11-07 11:00", "2026-11-11 18:00", "2026-11-13 18:00"),
        ("2026-11-08 23:59:59", "2026-11-11 18:00", "2026-11-13 18:00"),
        # A minute later it is Monday, which is the day of the resolution however early.
        ("2026-11-09 00:00", "2026-11-12 18:00", "2026-11-16 18:00"),
        # The Friday before a Monday that is a holiday.
        ("2026-11-20 17:50", "2026-11-26 18:00", "2026-11-30 18:00"),
        # On a holiday, and on its eve.
        ("2026-12-08 10:00", "2026-12-11 18:00", "2026-12-15 18:00"),
        ("2026-12-07 17:59:59", "2026-12-11 18:00", "2026-12-15 18:00"),
    ],
)
def test_windows_end_with_a_business_day_and_neither_weekends_nor_holidays_count(
    resolved: str, closes: str, reopenable: str
) -> None:
    found = windows_after(there(resolved), terms(5, 3))
    assert (found.closes_at, found.reopenable_until) == (there(closes), there(reopenable))


def test_what_has_no_days_ends_with_the_resolution_itself() -> None:
    at = there("2026-11-06 17:50") + timedelta(milliseconds=250)
    found = windows_after(at, terms(0, 0))
    assert (found.reopenable_until, found.closes_at) == (at, at)


def test_a_day_closes_where_its_client_is() -> None:
    madrid = terms(1, 1, timezone="Europe/Madrid")
    assert windows_after(there("2026-11-06 10:00"), madrid).closes_at == datetime(2026, 11, 9, 17, 0, tzinfo=UTC)


def test_a_day_that_is_shorter_than_usual_closes_when_it_does() -> None:
    christmas = {"special_days": {date(2026, 12, 24): (("09:00", "13:00"),)}}
    assert windows_after(there("2026-12-23 10:00"), terms(1, 1, **christmas)).closes_at == there("2026-12-24 13:00")


def test_where_the_calendar_has_not_so_many_days_left_a_ticket_is_resolved_nevertheless() -> None:
    """By the usual office hours, which know no holiday: nobody who resolves could mend the calendar."""
    one_day = terms(5, 1, weekly=WrittenWeek(), special_days={date(2026, 11, 9): OFFICE})
    found = windows_after(there("2026-11-06 17:50"), one_day)
    assert (found.closes_at, found.reopenable_until) == (there("2026-11-09 18:00"), there("2026-11-13 18:00"))


@given(st.timedeltas(timedelta(), timedelta(days=700)), st.integers(1, 12))
def test_what_is_usual_is_so_many_weekdays_whenever_it_was_resolved(after: timedelta, days: int) -> None:
    resolved_at, usual = there("2026-01-01 00:00") + after, usual_terms()
    found = windows_after(resolved_at, ClosingTerms(days, days, usual.hours))
    assert found.closes_at == found.reopenable_until == closing_after(resolved_at, days)
    assert (usual.reopen_days, usual.objection_days) == (5, 3)
