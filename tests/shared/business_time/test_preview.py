"""A calendar day by day, as it is shown before somebody confirms it."""

from __future__ import annotations

from datetime import date

from shared.business_time.calendar import read_calendar
from shared.business_time.preview import Day, days
from shared.contracts.calendars import WrittenCalendar
from tests.shared.business_time.drawing import WORKING, every
from tests.shared.business_time.stepping import second

HOUR = 3_600
CALENDAR = read_calendar(
    WrittenCalendar.model_validate(
        {
            "timezone": "Europe/London",
            "weekly": {**every(("09:00", "18:00"), days=WORKING), "sat": [("22:00", "06:00")]},
            "holidays": ["2026-03-26", "2026-03-27"],
            "special_days": {"2026-03-27": [("10:00", "12:00"), ("13:00", "14:00")]},
            "breaks": {"2026-03-25": [("12:00", "13:00")], "2026-03-29": [("05:00", "07:00")]},
        }
    )
)


def test_each_date_says_why_and_when_it_is_open() -> None:
    def at(said: str) -> int:
        return second(f"2026-03-{said}+00:00")

    assert days(CALENDAR, date(2026, 3, 24), date(2026, 3, 27)) == [
        Day(date(2026, 3, 24), 1, "weekly", ((at("24T09:00"), at("24T18:00")),), 9 * HOUR, False),
        Day(
            date(2026, 3, 25), 2, "weekly",
            ((at("25T09:00"), at("25T12:00")), (at("25T13:00"), at("25T18:00"))), 8 * HOUR, True,
        ),
        Day(date(2026, 3, 26), 3, "holiday", (), 0, False),
        Day(
            date(2026, 3, 27), 4, "special",
            ((at("27T10:00"), at("27T12:00")), (at("27T13:00"), at("27T14:00"))), 3 * HOUR, False,
        ),
    ]  # fmt: skip


def test_a_night_belongs_to_the_date_on_which_it_begins_and_counts_what_passes() -> None:
    """The clocks go on an hour that night, and a break of the morning ends it at five."""
    saturday, sunday = days(CALENDAR, date(2026, 3, 28), date(2026, 3, 29))
    assert saturday.windows == ((second("2026-03-28T22:00+00:00"), second("2026-03-29T05:00+01:00")),)
    assert (saturday.open_seconds, saturday.has_break) == (6 * HOUR, False)
    assert (sunday.windows, sunday.open_seconds, sunday.kind, sunday.has_break) == ((), 0, "weekly", True)


def test_a_year_has_all_its_days() -> None:
    year = days(CALENDAR, date(2028, 1, 1), date(2028, 12, 31))
    assert [len(year), year[0].date, year[-1].date] == [366, date(2028, 1, 1), date(2028, 12, 31)]
    assert days(CALENDAR, date(2028, 1, 2), date(2028, 1, 1)) == []
