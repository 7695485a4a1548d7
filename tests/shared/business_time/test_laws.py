"""What holds of any calendar in any zone and year, however far it is asked."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.business_time.index import BeyondReach, Index
from shared.business_time.zones import REACH_END
from tests.shared.business_time.drawing import EARLIEST, LATEST, Case, cases_anywhere, holds, sizes

YEARS = st.integers(-400_000_000, 400_000_000)
FAR = YEARS | st.integers(-100_000, 100_000) | st.integers(-2, 2)
COUNTS = st.integers(-30_000_000, 30_000_000) | st.integers(-2, 2)


def clipped(at: int) -> int:
    """Within the years in which a calendar means something."""
    return max(EARLIEST, min(LATEST, at))


def answered(index: Index, start: int, seconds: int, back: bool = False) -> int | None:
    """Where it is over; None beyond reach."""
    try:
        return index.add(start, seconds, back=back)
    except BeyondReach:
        return None


@sizes(60, 2_000)
def test_what_is_added_lies_between(examples: int) -> None:
    def law(drawn: tuple[Case, int, bool]) -> None:
        case, seconds, back = drawn
        index = case.index()
        over = answered(index, case.at, seconds, back)
        if over is not None:
            assert index.between(case.at, over) == seconds
            assert index.between(over, case.at) == -seconds

    holds(examples, st.tuples(cases_anywhere(), COUNTS, st.booleans()), law)


@sizes(60, 2_000)
def test_what_lies_between_leads_there_as_far_as_it_is_open(examples: int) -> None:
    """Forth it is over at the last closing before `end` where that is closed, back at the first opening after it."""

    def law(drawn: tuple[Case, int]) -> None:
        case, away = drawn
        index, end = case.index(), clipped(case.at + away)
        counted = index.between(case.at, end)
        over = answered(index, case.at, counted)
        if counted > 0:
            assert over is not None
            assert over <= end
            assert index.between(over, end) == 0
            assert index.is_open(over - 1)
        if counted < 0:
            assert over is not None
            assert over >= end
            assert index.between(over, end) == 0
            assert index.is_open(over)

    holds(examples, st.tuples(cases_anywhere(), FAR), law)


@sizes(50, 1_200)
def test_between_adds_up_grows_and_turns_its_sign(examples: int) -> None:
    def law(drawn: tuple[Case, int, int]) -> None:
        case, some, more = drawn
        index = case.index()
        middle, end = clipped(case.at + some), clipped(case.at + some + more)
        assert index.between(case.at, middle) + index.between(middle, end) == index.between(case.at, end)
        assert index.between(case.at, end) == -index.between(end, case.at)
        assert index.between(case.at, case.at) == 0
        assert 0 <= index.between(min(middle, end), max(middle, end)) <= abs(end - middle)

    holds(examples, st.tuples(cases_anywhere(), FAR, FAR), law)


@sizes(50, 1_200)
def test_more_is_over_later_and_a_later_start_never_earlier(examples: int) -> None:
    def law(drawn: tuple[Case, int, int, int]) -> None:
        case, seconds, more, wait = drawn
        index = case.index()
        over, later = answered(index, case.at, seconds), answered(index, case.at, seconds + more)
        if over is not None and later is not None:
            assert over < later if more else over == later
        waited = answered(index, clipped(case.at + wait), seconds)
        if over is not None and waited is not None and case.at + wait <= LATEST:
            assert over <= waited

    counts = st.integers(0, 5_000_000) | st.integers(0, 2)
    holds(examples, st.tuples(cases_anywhere(), COUNTS, counts, st.integers(0, 10_000_000)), law)


@sizes(40, 800)
def test_in_parts_it_is_over_where_it_is_over_at_once(examples: int) -> None:
    def law(drawn: tuple[Case, int, int]) -> None:
        case, first, second = drawn
        index = case.index()
        at_once = answered(index, case.at, first + second)
        if at_once is not None:
            assert index.add(index.add(case.at, first), second) == at_once

    counts = st.integers(1, 3_000_000) | st.integers(1, 2)
    holds(examples, st.tuples(cases_anywhere(), counts, counts), law)


@sizes(40, 800)
def test_it_answers_the_same_whatever_it_was_asked_before(examples: int) -> None:
    def law(drawn: tuple[Case, list[int], int, int]) -> None:
        case, before, away, seconds = drawn
        index, fresh = case.index(), case.index()
        for each in before:
            index.is_open(clipped(case.at + each))
        end = clipped(case.at + away)
        assert index.between(case.at, end) == fresh.between(case.at, end)
        assert answered(index, case.at, seconds) == answered(fresh, case.at, seconds)
        assert index.next_change(case.at) == fresh.next_change(case.at)

    asked = st.lists(st.integers(-4_000_000_000, 4_000_000_000), max_size=3)
    holds(examples, st.tuples(cases_anywhere(), asked, FAR, COUNTS), law)


@sizes(40, 600)
def test_a_change_is_one_and_the_first(examples: int) -> None:
    def law(case: Case) -> None:
        index = case.index()
        change = index.next_change(case.at)
        until = REACH_END if change is None else change
        assert index.between(case.at, until - 1) == (until - 1 - case.at if index.is_open(case.at) else 0)
        if change is not None:
            assert index.is_open(change) != index.is_open(change - 1)

    holds(examples, cases_anywhere(), law)
