"""The index against the slow second clock: the same at every second, whatever the calendar, the zone and the year."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from shared.business_time.open_time import Stretch
from tests.shared.business_time.drawing import Case, cases, cases_anywhere, holds, sizes
from tests.shared.business_time.stepping import Stepped, TooFar

NEAR = st.integers(-200_000, 200_000) | st.integers(-3, 3)
FEW = st.sampled_from([-60, -1, 0, 0, 0, 0, 1, 60])


def stepped(case: Case) -> Stepped:
    """The same calendar, looked at minute by minute."""
    return Stepped([(None, case.written)], 60)


def known(answer: Callable[[], int]) -> int:
    """What the slow clock says; what lies too far away for it is drawn again."""
    try:
        return answer()
    except TooFar:
        assume(False)
        raise


@sizes(30, 800)
def test_every_second_is_open_as_the_wall_clock_says(examples: int) -> None:
    def law(case: Case) -> None:
        index, slow = case.index(), stepped(case)
        for at in range(case.at - 2 * 86_400, case.at + 3 * 86_400, 60):
            assert index.is_open(at) == slow.is_open(at), at

    holds(examples, cases(), law)


@sizes(30, 600)
def test_every_second_is_open_as_the_wall_clock_says_in_any_zone_and_year(examples: int) -> None:
    def law(case: Case) -> None:
        index, slow = case.index(), Stepped([(None, case.written)], 1)
        seconds = range(case.at - 1_000, case.at + 2_000)
        assert [index.is_open(at) for at in seconds] == [slow.is_open(at) for at in seconds]
        assert index.between(seconds.start, seconds.stop) == slow.between(seconds.start, seconds.stop)

    holds(examples, cases_anywhere(), law)


@sizes(100, 2_000)
def test_between_counts_what_the_wall_clock_shows(examples: int) -> None:
    def law(drawn: tuple[Case, int]) -> None:
        case, away = drawn
        assert case.index().between(case.at, case.at + away) == stepped(case).between(case.at, case.at + away)

    holds(examples, st.tuples(cases(), NEAR), law)


@sizes(100, 2_000)
def test_add_is_over_where_the_wall_clock_has_shown_so_many(examples: int) -> None:
    """Mostly so many that it is over at an edge, a second before, or a second after."""

    def law(drawn: tuple[Case, int, int, bool]) -> None:
        case, away, more, back = drawn
        index, slow = case.index(), stepped(case)
        seconds = slow.between(case.at, case.at + away) + more
        expected = known(lambda: slow.add(case.at, seconds, back))
        assert index.add(case.at, seconds, back=back) == expected

    holds(examples, st.tuples(cases(), NEAR, FEW, st.booleans()), law)


@sizes(25, 800)
def test_the_next_change_is_where_the_wall_clock_sees_it(examples: int) -> None:
    def law(case: Case) -> None:
        index, slow = case.index(), stepped(case)
        change, opening = known(lambda: slow.next_change(case.at)), known(lambda: slow.add(case.at, 0))
        assert (index.next_change(case.at), index.next_open(case.at)) == (change, opening)

    holds(examples, cases(), law)


@sizes(20, 600)
def test_business_days_end_at_the_last_closing_of_their_date(examples: int) -> None:
    def law(drawn: tuple[Case, int]) -> None:
        case, days = drawn
        expected = known(lambda: stepped(case).add_days(case.at, days))
        assert case.index().add_days(case.at, days) == expected

    holds(examples, st.tuples(cases(), st.integers(0, 4)), law)


@sizes(60, 800)
def test_stretches_are_the_whole_way_open_and_closed_in_turn(examples: int) -> None:
    def law(drawn: tuple[Case, int]) -> None:
        case, away = drawn
        slow, way = stepped(case), list(case.index().stretches(case.at, case.at + abs(away)))
        edges = [case.at, *(stretch.end for stretch in way)]
        assert way == [Stretch(start, end, slow.is_open(start)) for start, end in pairwise(edges)]
        assert edges[-1] == case.at + abs(away)
        assert all(this.open != following.open for this, following in pairwise(way))
        assert all(slow.is_open(at) == way_is_open(way, at) for at in range(case.at, case.at + abs(away), 3_600))

    holds(examples, st.tuples(cases(), NEAR), law)


def way_is_open(way: list[Stretch], at: int) -> bool:
    """What the stretch says in which a second lies."""
    return next(stretch.open for stretch in way if stretch.start <= at < stretch.end)


@pytest.mark.parametrize("start", [0, 100, -100])
def test_no_way_is_no_stretch(start: int) -> None:
    case = Case({"timezone": "UTC", "weekly": {"mon": [["09:00", "18:00"]]}}, start)
    assert list(case.index().stretches(start, start)) == []
