"""How far a calendar is known, and how soon it says that it is asked for more."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from shared.business_time.calendar import Calendar, read_calendar
from shared.business_time.index import BeyondReach, Index
from shared.business_time.open_time import Stretch
from shared.business_time.zones import REACH_END, REACH_START
from shared.contracts.calendars import WrittenCalendar
from tests.shared.business_time.drawing import WORKING, every, indexed
from tests.shared.business_time.stepping import Written, second

ALL_DAY = ("00:00", "24:00")
EMPTY: Written = {"timezone": "Europe/London", "weekly": {}, "holidays": [], "special_days": {}, "breaks": {}}
ALWAYS: Written = {**EMPTY, "weekly": every(ALL_DAY)}
OFFICE: Written = {**EMPTY, "weekly": every(("09:00", "18:00"), days=WORKING)}
ONCE: Written = {**EMPTY, "special_days": {"2026-01-05": [["09:00", "10:00"]]}}
# Closed on every Monday of three years, and open on no other day.
MONDAYS = [(date(2026, 1, 5) + timedelta(weeks=week)).isoformat() for week in range(156)]
FROM_2029: Written = {**EMPTY, "weekly": every(("09:00", "18:00"), days=("mon",)), "holidays": MONDAYS}
NOW = second("2026-01-01T00:00Z")


@pytest.mark.parametrize(
    "weekly",
    [
        every(ALL_DAY),
        every(("00:00", "12:00"), ("12:00", "24:00")),
        every(("22:00", "06:00"), ("06:00", "22:00")),
        every(("08:00", "07:59"), ("07:00", "08:00")),
    ],
)
def test_what_is_always_open_never_changes(weekly: Written) -> None:
    index = indexed({**EMPTY, "weekly": weekly})
    assert index.next_change(NOW) is None
    assert index.next_open(NOW) == NOW
    assert index.add(NOW, 10**9) == NOW + 10**9
    assert index.add(NOW, -(10**9)) == NOW - 10**9
    assert index.add(NOW, 0, back=True) == NOW
    assert [*index.stretches(NOW, NOW + 10**9)] == [Stretch(NOW, NOW + 10**9, True)]
    assert index.between(REACH_START, REACH_END - 1) == REACH_END - 1 - REACH_START


def test_what_is_open_but_for_one_minute_of_the_week_is_not_always_open() -> None:
    index = indexed({**ALWAYS, "weekly": {**every(ALL_DAY), "sun": [["00:00", "23:59"]]}})
    sunday = second("2026-01-04T23:59Z")
    assert index.next_change(NOW) == sunday
    assert index.next_change(sunday) == sunday + 60


def test_what_is_always_open_but_on_a_date_changes_there_and_then_no_more() -> None:
    index = indexed({**ALWAYS, "holidays": ["2026-07-01"], "breaks": {"1999-05-05": [["10:00", "11:00"]]}})
    begins = second("2026-06-30T23:00Z")
    assert index.next_change(NOW) == begins
    assert index.next_change(begins) == begins + 86_400
    assert index.next_change(begins + 86_400) is None
    assert index.next_change(REACH_START) == second("1999-05-05T09:00Z")
    assert index.add(begins - 5, 10) == begins + 86_405
    assert index.add(begins + 86_405, -10) == begins - 5


@pytest.mark.parametrize("day", ["1900-01-01", "2500-12-31"])
def test_dates_at_the_ends_of_the_reach_count(day: str) -> None:
    index = indexed({**ALWAYS, "timezone": "UTC", "holidays": [day]})
    assert index.between(REACH_START, REACH_END - 1) in range(
        REACH_END - REACH_START - 86_401, REACH_END - REACH_START - 86_398
    )
    only = indexed({**EMPTY, "timezone": "UTC", "special_days": {day: [["00:00", "24:00"]]}})
    assert only.between(REACH_START, REACH_END - 1) in (86_399, 86_400)


def test_what_opens_only_on_some_dates_says_when_it_has_no_more() -> None:
    index = indexed(ONCE)
    opens = second("2026-01-05T09:00Z")
    assert index.add(NOW, 0) == opens
    assert index.add(NOW, 3_600) == opens + 3_600
    assert index.add(opens + 9_000, -3_600) == opens
    assert index.next_open(opens + 3_600) is None
    assert index.next_change(opens + 3_600) is None
    assert index.add_days(NOW, 1) == opens + 3_600
    for start, seconds in ((NOW, 3_601), (opens + 3_600, 0), (opens, 10**15), (opens + 3_600, -3_601), (NOW, -1)):
        with pytest.raises(BeyondReach, match="not so many"):
            index.add(start, seconds)
    with pytest.raises(BeyondReach, match="not so many"):
        index.add(opens, -1)
    with pytest.raises(BeyondReach, match="not so many"):
        index.add(NOW, 0, back=True)
    with pytest.raises(BeyondReach, match="2 business days"):
        index.add_days(NOW, 2)


def test_a_calendar_without_a_window_counts_nothing() -> None:
    index = Index(Calendar("UTC", ((),) * 7, frozenset(), {}, {date(2026, 1, 1): ((0, 60),)}))
    assert index.between(REACH_START, REACH_END - 1) == 0
    assert index.next_open(NOW) is None
    with pytest.raises(BeyondReach):
        index.add_days(NOW, 1)


ASKED: dict[str, Callable[[Index, int], object]] = {
    "add": lambda index, at: index.add(at, 1),
    "add, back": lambda index, at: index.add(at, -1),
    "between": lambda index, at: index.between(NOW, at),
    "between, from there": lambda index, at: index.between(at, NOW),
    "is_open": lambda index, at: index.is_open(at),
    "next_open": lambda index, at: index.next_open(at),
    "next_change": lambda index, at: index.next_change(at),
    "add_days": lambda index, at: index.add_days(at, 1),
    "stretches": lambda index, at: [*index.stretches(at, at + 1)],
}


@pytest.mark.parametrize("at", [REACH_START - 1, REACH_END, 10**15, -(10**15)])
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("written", [OFFICE, ALWAYS, ONCE], ids=["office", "always", "once"])
def test_what_lies_outside_the_years_is_beyond_reach(written: Written, asked: str, at: int) -> None:
    with pytest.raises(BeyondReach, match="1900"):
        ASKED[asked](indexed(written), at)


def test_the_first_second_of_the_reach_is_asked_for_like_any_other() -> None:
    always = indexed(ALWAYS)
    assert always.add(REACH_START, 1) == REACH_START + 1
    assert always.add(REACH_START, 0) == REACH_START
    assert always.between(NOW, REACH_START) == REACH_START - NOW
    assert always.between(REACH_START, NOW) == NOW - REACH_START


def test_a_change_that_lies_years_away_is_found() -> None:
    index = indexed(FROM_2029)
    opening = second("2029-01-01T09:00Z")
    assert index.next_change(NOW) == index.next_open(NOW) == index.add(NOW, 0) == opening
    assert index.add(NOW, 1) == opening + 1
    before = second("2025-12-29T18:00Z")
    assert indexed(FROM_2029).add(opening - 1, 0, back=True) == before
    assert indexed(FROM_2029).add(opening, -1) == before - 1


def test_the_first_and_the_last_second_of_the_reach_are_known() -> None:
    index = indexed({**OFFICE, "timezone": "UTC"})
    assert index.is_open(REACH_START) is False
    assert index.next_open(REACH_START) == second("1900-01-01T09:00Z")
    assert index.is_open(REACH_END - 1) is False
    assert index.next_change(REACH_END - 1) is None
    assert index.add(REACH_END - 1, -1) == second("2500-12-31T17:59:59Z")


@pytest.mark.parametrize("seconds", [10**11, -(10**11), 10**30])
def test_more_seconds_than_there_are_years_for_are_refused(seconds: int) -> None:
    with pytest.raises(BeyondReach, match="ask for fewer"):
        indexed(OFFICE).add(NOW, seconds)


def test_nine_hours_of_every_working_day_until_the_last_are_there() -> None:
    """Two ways to the same sum, across five centuries."""
    index = indexed({**OFFICE, "timezone": "UTC"})
    working = sum(
        date.fromordinal(day).weekday() < 5 for day in range(date(2026, 1, 1).toordinal(), date(2501, 1, 1).toordinal())
    )
    assert index.between(NOW, REACH_END - 1) == working * 9 * 3_600
    fresh = indexed({**OFFICE, "timezone": "UTC"})
    assert fresh.add(NOW, working * 9 * 3_600) == second("2500-12-31T18:00Z")
    assert index.add_days(NOW - 1, 3) == second("2026-01-05T18:00Z")


def test_threads_that_share_an_index_all_find_the_same() -> None:
    index, alone = indexed(OFFICE), indexed(OFFICE)
    asked = [(NOW + (number * 7_919 % 6_000 - 3_000) * 86_400, number * 1_000) for number in range(400)]
    with ThreadPoolExecutor(8) as threads:
        found = [*threads.map(lambda each: (index.add(*each), index.is_open(each[0])), asked)]
    assert found == [(alone.add(*each), alone.is_open(each[0])) for each in asked]


class Overtaken(Index):
    """An index that another thread grew at the same time, the other way: what that found is kept instead."""

    theirs: Index | None = None

    def _reach(self, *asked: Any) -> Any:
        found = super()._reach(*asked)
        if self.theirs is not None:
            self._counted, self.theirs = self.theirs._counted, None
        return found


def test_a_change_is_found_from_where_it_was_asked_though_another_thread_keeps_less() -> None:
    """Both begin with what is known of the year after next; one looks on from before that, the other far behind it."""
    calendar = read_calendar(WrittenCalendar.model_validate(FROM_2029))
    index, theirs = Overtaken(calendar), Index(calendar)
    for each in (index, theirs):
        each.is_open(NOW + 400 * 86_400)
    theirs.is_open(NOW + 1_500 * 86_400)
    index.theirs = theirs
    assert index.next_change(NOW) == second("2029-01-01T09:00Z")
