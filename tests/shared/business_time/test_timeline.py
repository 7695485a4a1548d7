"""One calendar after another, against the slow second clock that looks at whichever counts at that second."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from shared.business_time.index import BeyondReach
from shared.business_time.open_time import OpenTime, Stretch
from shared.business_time.timeline import Timeline
from tests.shared.business_time.drawing import (
    ODD_ZONES,
    WORKING,
    Case,
    calendars,
    cases,
    every,
    holds,
    indexed,
    moments,
    sizes,
)
from tests.shared.business_time.stepping import Stepped, Written, second
from tests.shared.business_time.test_index import FEW, NEAR, known

EMPTY: Written = {"timezone": "UTC", "weekly": {}, "holidays": [], "special_days": {}, "breaks": {}}
ALWAYS: Written = {**EMPTY, "weekly": every(("00:00", "24:00"))}
OFFICE: Written = {**EMPTY, "weekly": every(("09:00", "18:00"), days=WORKING)}
MORNINGS: Written = {**EMPTY, "weekly": every(("08:00", "12:00"), days=WORKING)}
ONCE: Written = {**EMPTY, "special_days": {"2026-03-02": [["09:00", "10:00"]]}}


@dataclass(frozen=True)
class Versions:
    """Calendars that take over from each other near a second."""

    pieces: tuple[tuple[int | None, Written], ...]
    at: int

    def timeline(self) -> Timeline:
        """As the kernel counts it."""
        return Timeline([(start, indexed(written)) for start, written in self.pieces])

    def stepped(self) -> Stepped:
        """Looked at minute by minute: they take over at whole minutes."""
        return Stepped(self.pieces, 60)


@st.composite
def versions(draw: st.DrawFn) -> Versions:
    """Up to four versions, of one zone or of several."""
    names = draw(st.lists(st.sampled_from(ODD_ZONES), min_size=1, max_size=2))
    at = draw(moments(names[0]))
    switches = sorted(draw(st.lists(st.integers(-5_000, 5_000), max_size=3)))
    starts = [None, *(at // 60 * 60 + minutes * 60 for minutes in switches)]
    return Versions(tuple((start, draw(calendars(draw(st.sampled_from(names)), at))) for start in starts), at)


@sizes(20, 600)
def test_every_second_is_open_as_the_calendar_of_that_second_says(examples: int) -> None:
    def law(drawn: tuple[Versions, int]) -> None:
        case, away = drawn
        timeline, slow = case.timeline(), case.stepped()
        change = known(lambda: slow.next_change(case.at))
        opening = known(lambda: slow.add(case.at, 0))
        assert timeline.is_open(case.at) == slow.is_open(case.at)
        assert (timeline.next_change(case.at), timeline.next_open(case.at)) == (change, opening)
        for stretch in timeline.stretches(case.at, case.at + abs(away)):
            assert all(slow.is_open(at) == stretch.open for at in range(stretch.start, stretch.end, 600))

    holds(examples, st.tuples(versions(), NEAR), law)


@sizes(50, 1_200)
def test_between_counts_each_second_in_its_calendar(examples: int) -> None:
    def law(drawn: tuple[Versions, int]) -> None:
        case, away = drawn
        assert case.timeline().between(case.at, case.at + away) == case.stepped().between(case.at, case.at + away)

    holds(examples, st.tuples(versions(), NEAR), law)


@sizes(50, 1_600)
def test_add_is_over_where_so_many_were_counted_whoever_counted_them(examples: int) -> None:
    def law(drawn: tuple[Versions, int, int, bool]) -> None:
        case, away, more, back = drawn
        timeline, slow = case.timeline(), case.stepped()
        seconds = slow.between(case.at, case.at + away) + more
        expected = known(lambda: slow.add(case.at, seconds, back))
        assert timeline.add(case.at, seconds, back=back) == expected

    holds(examples, st.tuples(versions(), NEAR, FEW, st.booleans()), law)


@st.composite
def versions_of_a_zone(draw: st.DrawFn) -> Versions:
    """Versions of one calendar: they keep to its zone, so that a date is the same in all of them."""
    name = draw(st.sampled_from(ODD_ZONES))
    at = draw(moments(name))
    switches = sorted(draw(st.lists(st.integers(-2_000, 8_000), max_size=2)))
    starts = [None, *(at // 60 * 60 + minutes * 60 for minutes in switches)]
    return Versions(tuple((start, draw(calendars(name, at))) for start in starts), at)


@sizes(15, 400)
def test_business_days_are_counted_across_versions(examples: int) -> None:
    def law(drawn: tuple[Versions, int]) -> None:
        case, days = drawn
        expected = known(lambda: case.stepped().add_days(case.at, days))
        assert case.timeline().add_days(case.at, days) == expected

    holds(examples, st.tuples(versions_of_a_zone(), st.integers(0, 4)), law)


@sizes(40, 400)
def test_one_calendar_cut_into_versions_is_that_calendar(examples: int) -> None:
    def law(drawn: tuple[Case, list[int], int, int]) -> None:
        case, cuts, away, days = drawn
        index = case.index()
        timeline = Timeline([(None, index), *((case.at + cut, index) for cut in sorted(cuts))])
        end = case.at + away
        assert timeline.between(case.at, end) == index.between(case.at, end)
        assert timeline.next_change(case.at) == index.next_change(case.at)
        assert [*timeline.stretches(case.at, end)] == [*index.stretches(case.at, end)]
        for asked in (index.between(case.at, end), 0, 1, -1):
            assert outcome(timeline, case.at, asked) == outcome(index, case.at, asked)
        assert outcome(timeline, case.at, days, days=True) == outcome(index, case.at, days, days=True)

    cuts = st.lists(st.integers(-300_000, 300_000), max_size=4)
    holds(examples, st.tuples(cases(), cuts, NEAR, st.integers(0, 5)), law)


def outcome(hours: OpenTime, start: int, count: int, days: bool = False) -> int | None:
    """What is answered; None where it lies beyond reach."""
    try:
        return hours.add_days(start, count) if days else hours.add(start, count)
    except BeyondReach:
        return None


MONDAY = second("2026-03-02T00:00Z")
HOUR = 3_600


def test_the_first_calendar_counts_from_ever_whatever_second_it_names() -> None:
    timeline = Timeline([(MONDAY + 12 * HOUR, indexed(OFFICE)), (MONDAY + 24 * HOUR, indexed(ALWAYS))])
    assert timeline.between(MONDAY, MONDAY + 12 * HOUR) == 3 * HOUR


def test_of_versions_that_begin_at_the_same_second_the_last_one_counts() -> None:
    noon = MONDAY + 12 * HOUR
    timeline = Timeline([(None, indexed(OFFICE)), (noon, indexed(ALWAYS)), (noon, indexed(MORNINGS))])
    assert timeline.between(MONDAY, MONDAY + 24 * HOUR) == 3 * HOUR


def test_a_calendar_that_never_counts_is_never_seen() -> None:
    noon = MONDAY + 12 * HOUR
    timeline = Timeline([(None, indexed(ALWAYS)), (noon, indexed(ONCE)), (noon, indexed(ALWAYS))])
    assert timeline.next_change(MONDAY) is None
    from_ever = Timeline([(MONDAY, indexed(OFFICE)), (None, indexed(ALWAYS)), (noon, indexed(MORNINGS))])
    assert from_ever.between(MONDAY, MONDAY + 24 * HOUR) == 12 * HOUR


def test_what_is_open_on_both_sides_of_a_change_of_calendars_is_one_stretch() -> None:
    timeline = Timeline([(None, indexed(OFFICE)), (MONDAY + 12 * HOUR, indexed(ALWAYS))])
    assert [*timeline.stretches(MONDAY, MONDAY + 48 * HOUR)] == [
        Stretch(MONDAY, MONDAY + 9 * HOUR, False),
        Stretch(MONDAY + 9 * HOUR, MONDAY + 48 * HOUR, True),
    ]
    assert timeline.next_change(MONDAY + 10 * HOUR) is None


def test_a_target_that_runs_out_just_where_calendars_change_is_due_there() -> None:
    timeline = Timeline([(None, indexed(OFFICE)), (MONDAY + 12 * HOUR, indexed(ALWAYS))])
    assert timeline.add(MONDAY, 3 * HOUR) == MONDAY + 12 * HOUR
    assert timeline.add(MONDAY, 3 * HOUR + 1) == MONDAY + 12 * HOUR + 1
    assert timeline.add(MONDAY + 13 * HOUR, -HOUR) == MONDAY + 12 * HOUR


def test_what_runs_out_backwards_at_the_first_opening_of_a_calendar_is_over_there() -> None:
    """The calendar before is open when it ends, and the one after opens two hours later."""
    evenings: Written = {**EMPTY, "weekly": every(("14:00", "20:00"))}
    timeline = Timeline([(None, indexed(OFFICE)), (MONDAY + 12 * HOUR, indexed(evenings))])
    assert timeline.add(MONDAY + 15 * HOUR, -HOUR) == MONDAY + 14 * HOUR
    assert timeline.add(MONDAY + 15 * HOUR, -HOUR - 1) == MONDAY + 12 * HOUR - 1
    later = Timeline([(None, indexed(ALWAYS)), (MONDAY, indexed(OFFICE)), (MONDAY + 12 * HOUR, indexed(evenings))])
    assert later.add(MONDAY + 15 * HOUR, -HOUR) == MONDAY + 14 * HOUR
    assert later.add(MONDAY + 15 * HOUR, -4 * HOUR) == MONDAY + 9 * HOUR


def test_backwards_from_where_it_is_closed_it_is_the_closing_before_whoever_closed() -> None:
    noon = MONDAY + 12 * HOUR
    timeline = Timeline([(None, indexed(ALWAYS)), (noon, indexed(MORNINGS)), (noon + 24 * HOUR, indexed(OFFICE))])
    assert timeline.add(noon + HOUR, 0, back=True) == noon
    assert timeline.add(MONDAY + 37 * HOUR - 1, 0, back=True) == MONDAY + 37 * HOUR - 1
    assert timeline.add(MONDAY + 43 * HOUR, 0, back=True) == MONDAY + 42 * HOUR
    assert timeline.add(MONDAY + 31 * HOUR, 0, back=True) == noon


def test_what_one_calendar_closes_when_the_next_one_opens_stays_open() -> None:
    timeline = Timeline([(None, indexed(MORNINGS)), (MONDAY + 12 * HOUR, indexed(OFFICE))])
    assert timeline.next_change(MONDAY + 10 * HOUR) == MONDAY + 18 * HOUR
    assert timeline.next_change(MONDAY) == MONDAY + 8 * HOUR
    handed_over = Timeline([(None, indexed(OFFICE)), (MONDAY + 12 * HOUR, indexed(MORNINGS))])
    assert handed_over.next_change(MONDAY + 10 * HOUR) == MONDAY + 12 * HOUR


def test_the_day_within_which_calendars_change_is_one_business_day() -> None:
    noon = MONDAY + 36 * HOUR
    timeline = Timeline([(None, indexed(MORNINGS)), (noon, indexed(OFFICE))])
    assert timeline.add_days(MONDAY, 1) == MONDAY + 42 * HOUR
    assert timeline.add_days(MONDAY, 2) == MONDAY + 66 * HOUR
    shorter = Timeline([(None, indexed(OFFICE)), (noon, indexed(MORNINGS))])
    assert shorter.add_days(MONDAY, 1) == noon
    assert shorter.add_days(MONDAY, 2) == MONDAY + 60 * HOUR


def test_a_date_of_which_nothing_was_open_while_its_calendar_counted_is_no_business_day() -> None:
    """Until it opens it is counted in one calendar, from when it has closed in the other: either way not at all."""
    tuesday = MONDAY + 24 * HOUR
    closed_on_tuesday = indexed({**OFFICE, "holidays": ["2026-03-03"]})
    until_it_opens = Timeline([(None, indexed(OFFICE)), (tuesday + 9 * HOUR, closed_on_tuesday)])
    assert until_it_opens.add_days(MONDAY, 1) == tuesday + 42 * HOUR
    since_it_closed = Timeline([(None, closed_on_tuesday), (tuesday + 18 * HOUR, indexed(OFFICE))])
    assert since_it_closed.add_days(MONDAY, 1) == tuesday + 42 * HOUR
    its_last_second = Timeline([(None, closed_on_tuesday), (tuesday + 18 * HOUR - 1, indexed(OFFICE))])
    assert its_last_second.add_days(MONDAY, 1) == tuesday + 18 * HOUR


def test_the_tail_of_a_night_that_another_calendar_brings_is_not_that_of_the_day() -> None:
    """Tuesday is open from midnight to two; from three on Monday's night counts, which lasts until six."""
    tuesday = MONDAY + 24 * HOUR
    early = indexed({**EMPTY, "weekly": every(("00:00", "02:00"))})
    nights = indexed({**EMPTY, "weekly": {"mon": [("22:00", "06:00")]}})
    timeline = Timeline([(None, early), (tuesday + 3 * HOUR, nights)])
    assert timeline.add_days(MONDAY, 1) == tuesday + 2 * HOUR
    assert timeline.add_days(MONDAY, 2) == MONDAY + 7 * 24 * HOUR + 30 * HOUR


def test_what_a_later_calendar_lacks_is_beyond_reach() -> None:
    timeline = Timeline([(None, indexed(ONCE)), (MONDAY + 9 * HOUR + 60, indexed(ONCE))])
    assert timeline.add(MONDAY, HOUR) == MONDAY + 10 * HOUR
    assert timeline.next_open(MONDAY + 10 * HOUR) is None
    for asked in (HOUR + 1, 10**15):
        with pytest.raises(BeyondReach, match="not so many"):
            timeline.add(MONDAY, asked)
    with pytest.raises(BeyondReach) as never_again:
        timeline.add(MONDAY + 10 * HOUR, 0)
    assert never_again.value.message == "the calendar never opens again after that instant; ask from an earlier one"
    with pytest.raises(BeyondReach, match="^1 business days: "):
        timeline.add_days(MONDAY, 1)
    with pytest.raises(BeyondReach, match="not so many"):
        timeline.add(MONDAY, 0, back=True)
