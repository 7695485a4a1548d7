"""The hard cases of business hours, each worked out on paper: its name is the decision that it follows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from shared.business_time.known import CalendarName, KnownCalendars
from shared.contracts.calendars import WrittenCalendar
from sla.domain.clock import Fact, FactKind, Folded, Terms
from sla.domain.fold import fold

BUENOS_AIRES = "America/Argentina/Buenos_Aires"
OFFICE = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
HOUR = 3600


def calendar(weekly: Any = None, *, timezone: str = BUENOS_AIRES, **more: Any) -> WrittenCalendar:
    return WrittenCalendar.model_validate(
        {"timezone": timezone, "weekly": OFFICE if weekly is None else weekly, **more}
    )


def local(text: str, timezone: str = BUENOS_AIRES) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone))


class Life:
    """One resolution clock in versions of a calendar, and what is told of it."""

    def __init__(self, *versions: WrittenCalendar, target: int = HOUR, timezone: str = BUENOS_AIRES) -> None:
        self.known = KnownCalendars()
        for number, version in enumerate(versions, start=1):
            self.known.learn(CalendarName("c", number), version)
        self.terms = Terms("resolution", target, frozenset({"waiting-for-client"}), (), CalendarName("c", 1))
        self.timezone = timezone
        self.facts: list[Fact] = []

    def told(self, kind: str, at: str, **more: Any) -> Life:
        number = len(self.facts) + 1
        reason = "waiting-for-client" if kind == "pause" else None
        self.facts.append(Fact(UUID(int=number), FactKind(kind), self.at(at), number, "resolution", reason, **more))
        return self

    def at(self, text: str) -> datetime:
        return local(text, self.timezone)

    def folded(self, until: str | None = None) -> Folded:
        found = fold(self.terms, self.facts, self.known, None if until is None else self.at(until))
        assert found is not None
        return found

    def due(self) -> str:
        due_at = self.folded().clock.due_at
        assert due_at is not None
        return due_at.astimezone(ZoneInfo(self.timezone)).isoformat(timespec="minutes")[:16]

    def breaches(self) -> str:
        clock = self.folded().clock
        at = clock.breaches_at(self.known.hours(clock.counted_in))
        assert at is not None
        return at.astimezone(ZoneInfo(self.timezone)).isoformat(timespec="minutes")[:16]


def life(*versions: WrittenCalendar, start: str, **more: Any) -> Life:
    return Life(*(versions or (calendar(),)), **more).told("start", start)


def test_what_is_due_exactly_at_closing_is_due_then_and_met_by_whatever_comes_before_the_next_opening_counts() -> None:
    friday = life(start="2026-11-27T17:00")
    assert (friday.due(), friday.breaches()) == ("2026-11-27T18:00", "2026-11-30T09:00")
    assert friday.told("stop", "2026-11-28T15:30").folded().clock.outcome == "met"


def test_opened_outside_hours_or_on_a_holiday_the_clock_waits_for_the_next_opening() -> None:
    assert life(start="2026-11-27T20:00").due() == "2026-11-30T10:00"
    assert life(start="2026-11-28T11:00").due() == "2026-11-30T10:00"
    christmas = calendar(holidays=["2026-12-25"])
    assert life(christmas, start="2026-12-25T10:00").due() == "2026-12-28T10:00"


def test_opened_in_the_hour_that_a_spring_night_leaves_out_it_counts_from_when_the_clocks_say_three() -> None:
    nights = calendar({day: [["00:00", "06:00"]] for day in ("sat", "sun")}, timezone="Europe/Madrid")
    # 02:30 of that night is no reading of any clock; in the world it is the instant that 03:30 is.
    early = life(nights, start="2026-03-29T01:30", timezone="Europe/Madrid")
    assert early.due() == "2026-03-29T03:30"


@pytest.mark.parametrize(("fold_of", "due"), [(0, "02:30"), (1, "03:30")])
def test_opened_in_the_repeated_hour_both_passes_count(fold_of: int, due: str) -> None:
    nights = calendar({day: [["00:00", "06:00"]] for day in ("sat", "sun")}, timezone="Europe/Madrid")
    repeated = Life(nights, timezone="Europe/Madrid")
    start = local("2026-10-25T02:30", "Europe/Madrid").replace(fold=fold_of)
    repeated.facts.append(Fact(UUID(int=1), FactKind.START, start, 1, "resolution"))
    assert repeated.due() == f"2026-10-25T{due}"


def test_an_overnight_window_before_a_holiday_stays_open_until_the_morning_and_none_begins_that_night() -> None:
    nights = calendar({day: [["22:00", "06:00"]] for day in OFFICE}, holidays=["2026-12-25"])
    eve = life(nights, start="2026-12-24T21:00", target=8 * HOUR)
    assert eve.due() == "2026-12-25T06:00"
    assert life(nights, start="2026-12-25T07:00").due() == "2026-12-28T23:00"


def test_a_hold_across_a_closing_time_keeps_what_was_left_before_it() -> None:
    held = life(start="2026-11-27T17:00", target=2 * HOUR).told("pause", "2026-11-27T17:30")
    assert held.folded().clock.due_at is None
    assert held.told("resume", "2026-11-30T10:00").due() == "2026-11-30T11:30"


def test_a_hold_across_a_holiday_is_counted_in_open_time_as_everything_is() -> None:
    christmas = calendar(holidays=["2026-12-25"])
    held = life(christmas, start="2026-12-24T17:00", target=2 * HOUR)
    held.told("pause", "2026-12-24T17:30").told("resume", "2026-12-25T15:00")
    assert held.due() == "2026-12-28T10:30"


def test_a_hold_across_a_change_to_daylight_saving_takes_nothing_away() -> None:
    whole = calendar({day: [["00:00", "24:00"]] for day in (*OFFICE, "sat", "sun")}, timezone="Europe/Madrid")
    held = life(whole, start="2026-03-28T20:00", target=10 * HOUR, timezone="Europe/Madrid")
    held.told("pause", "2026-03-28T22:00").told("resume", "2026-03-29T12:00")
    assert held.due() == "2026-03-29T20:00"
    # The same without a hold: the night had an hour less.
    through = life(whole, start="2026-03-28T20:00", target=10 * HOUR, timezone="Europe/Madrid")
    assert through.due() == "2026-03-29T07:00"


def test_a_calendar_that_changes_at_midnight_inside_a_clock_counts_the_old_before_and_the_new_after() -> None:
    longer = calendar({day: [["08:00", "20:00"]] for day in OFFICE})
    changed = life(calendar(), longer, start="2026-12-31T16:00", target=4 * HOUR)
    changed.told("switch", "2027-01-01T00:00", calendar_version=2, told_at=local("2026-12-15T10:00"))
    assert changed.due() == "2027-01-01T10:00"


def test_a_calendar_edited_with_a_running_clock_leaves_what_was_counted_and_moves_the_due() -> None:
    shorter = calendar({day: [["09:00", "13:00"]] for day in OFFICE})
    edited = life(calendar(), shorter, start="2026-11-30T09:00", target=8 * HOUR)
    assert edited.due() == "2026-11-30T17:00"
    edited.told("switch", "2026-11-30T12:00", calendar_version=2, told_at=local("2026-11-30T12:00"))
    assert edited.due() == "2026-12-01T13:00"
    counted = edited.folded("2026-11-30T18:00").clock
    assert counted.elapsed_seconds(edited.known.hours(counted.counted_in), local("2026-11-30T18:00")) == 4 * HOUR


def test_a_holiday_that_was_none_is_found_out_later_and_what_it_makes_late_is_dated_when_that_was_told() -> None:
    monday_off = calendar(holidays=["2026-11-23"])
    life_of = life(monday_off, calendar(), start="2026-11-20T17:00", target=2 * HOUR)
    assert life_of.due() == "2026-11-24T10:00"
    life_of.told("switch", "2026-11-23T00:00", calendar_version=2, told_at=local("2026-11-24T09:30"))
    clock = life_of.folded("2026-11-24T09:45").clock
    assert (clock.breached_at, clock.would_have_been_at) == (local("2026-11-24T09:30"), local("2026-11-23T10:00"))
    # One that had been missed already stays where it was.
    earlier = life(monday_off, calendar(), start="2026-11-20T17:00", target=2 * HOUR)
    earlier.told("switch", "2026-11-23T00:00", calendar_version=2, told_at=local("2026-11-24T11:00"))
    clock = earlier.folded("2026-11-24T12:00").clock
    assert (clock.breached_at, clock.would_have_been_at) == (local("2026-11-24T10:00"), None)


def test_a_client_in_another_zone_is_counted_in_the_hours_of_its_contract() -> None:
    madrid = calendar(timezone="Europe/Madrid")
    # 14:30 in Buenos Aires is half past six in the evening in Madrid.
    assert life(madrid, start="2026-11-27T14:30").due() == "2026-11-30T06:00"


def test_a_target_of_a_million_seconds_is_some_thirty_business_days() -> None:
    # Thirty whole days of nine hours, which are six weeks, and 7 h 46 min 40 s of the next one.
    assert life(start="2026-01-05T09:00", target=1_000_000).due() == "2026-02-16T16:46"


def test_three_facts_in_one_second_are_taken_in_the_order_of_their_meaning() -> None:
    same = life(start="2026-11-30T10:00", target=2 * HOUR)
    for kind in ("stop", "pause", "resume"):
        same.told(kind, "2026-11-30T11:00")
    clock = same.folded().clock
    assert (clock.course, clock.outcome, clock.counted_seconds) == ("stopped", "met", HOUR)


def test_what_happened_in_six_hours_of_silence_is_dated_when_it_happened() -> None:
    silent = life(start="2026-11-30T10:00")
    clock = silent.folded("2026-11-30T17:00").clock
    assert (clock.breached_at, clock.would_have_been_at) == (local("2026-11-30T11:00"), None)
