"""Edges of the fold: facts of one second, switches of one instant, a target that is used up when a hold begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from shared.business_time.known import CalendarName
from shared.contracts.calendars import WrittenCalendar
from sla.domain.clock import Clock, Fact, FactKind
from sla.domain.fold import fold
from tests.sla.domain.lives import at, calendars, fact, resolution
from tests.sla.domain.test_clock import explained, folded
from tests.sla.domain.test_clock_in_calendars import Versions, in_version, switch
from tests.sla.domain.test_clock_in_calendars import explained as explained_in


def test_a_clock_whose_calendar_never_opens_again_after_its_due_cannot_be_missed() -> None:
    one_day = {"special_days": {"2026-03-02": [["12:00", "12:01"]]}}
    never_again = calendars(once=WrittenCalendar.model_validate({"timezone": "UTC", "weekly": {}, **one_day}))
    terms = replace(resolution(60), calendar=CalendarName("once", 1))
    found = fold(terms, [fact("start", 0)], never_again, datetime(2027, 1, 1, tzinfo=UTC))
    assert found is not None
    clock: Clock = found.clock
    assert (clock.due_at, clock.breached_at) == (at(60), None)
    assert clock.breaches_at(never_again.hours(clock.counted_in)) is None


def test_of_two_switches_of_one_instant_the_later_version_counts_also_when_the_earlier_was_told_later() -> None:
    versions = Versions((((0, 90),), ((0, 90),), ((0, 5), (60, 90))))
    told = [fact("start", 0), switch(3, 5), switch(2, 5, told_at=8)]
    clock = explained_in(in_version(resolution(10)), told, versions, 20).clock
    assert (clock.counted_in[-1].calendar.version, clock.due_at) == (3, at(65))


def test_a_switch_of_which_nobody_said_when_it_was_told_was_told_in_time() -> None:
    versions = Versions((((0, 90),), ((0, 5), (60, 90))))
    told = replace(switch(2, 5), told_at=None)
    clock = explained_in(in_version(resolution(10)), [fact("start", 0), told], versions, 80).clock
    assert (clock.due_at, clock.breached_at, clock.would_have_been_at) == (at(65), at(65), None)


def test_a_breach_of_the_very_second_in_which_a_switch_takes_it_away_never_was() -> None:
    versions = Versions((((0, 90),), ((0, 5), (60, 90))))
    told = [fact("start", 0), switch(2, 5, told_at=10)]
    assert explained_in(in_version(resolution(10)), told, versions, 20).clock.breached_at is None
    later = [fact("start", 0), switch(2, 5, told_at=11)]
    assert explained_in(in_version(resolution(10)), later, versions, 20).clock.breached_at == at(10)


def test_what_led_to_a_course_is_known_from_the_start_on() -> None:
    assert explained(resolution(), fact("start", 0)).by is FactKind.START
    assert explained(resolution(), fact("start", 0), fact("pause", 3, "waiting-for-client")).by is FactKind.PAUSE


def test_facts_of_one_second_leave_no_empty_interval_between_them() -> None:
    told: list[Fact] = [
        fact("start", 0),
        fact("pause", 4.2, "waiting-for-client"),
        fact("pause", 4.4, "development"),
        fact("resume", 4.6),
        fact("stop", 9),
    ]
    found = explained(resolution(), *told)
    assert [(one.from_at, one.until) for one in found.intervals] == [(at(0), at(5)), (at(5), at(9)), (at(9), None)]


def test_a_hold_in_the_second_in_which_the_target_was_used_up_leaves_the_due_where_it_was() -> None:
    held = [fact("start", 0), fact("pause", 10, "waiting-for-client"), fact("resume", 50)]
    clock = folded(resolution(10), *held)
    assert (clock.due_at, clock.breached_at) == (at(10), None)
    assert folded(resolution(10), *held, fact("stop", 51)).breached_at == at(50)
