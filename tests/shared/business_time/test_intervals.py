"""Sets of seconds: joined and cut, as somebody may check by hand and as one second after another says."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.business_time.intervals import Interval, merged, without
from tests.shared.business_time.drawing import holds, sizes

INTERVALS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)).map(lambda each: (each[0], each[0] + each[1])))


def seconds(intervals: list[Interval]) -> set[int]:
    """Every second that lies in any of them."""
    return {at for start, end in intervals for at in range(start, end)}


def runs(members: set[int]) -> list[Interval]:
    """The same set, as the longest intervals that there are."""
    starts = sorted(at for at in members if at - 1 not in members)
    ends = sorted(at + 1 for at in members if at + 1 not in members)
    return list(zip(starts, ends, strict=True))


def test_what_touches_or_overlaps_is_one_and_what_is_empty_is_none() -> None:
    assert merged([(5, 7), (0, 2), (2, 4), (6, 9), (10, 10)]) == [(0, 4), (5, 9)]
    assert merged([(0, 9), (2, 3)]) == [(0, 9)]
    assert merged([]) == []


def test_what_is_cut_leaves_no_empty_rest() -> None:
    whole = [(0, 10), (20, 30)]
    assert without(whole, [(0, 4), (8, 10)]) == [(4, 8), (20, 30)]
    assert without(whole, [(9, 21)]) == [(0, 9), (21, 30)]
    assert without(whole, [(3, 4), (5, 6), (29, 40)]) == [(0, 3), (4, 5), (6, 10), (20, 29)]
    assert without(whole, [(10, 20)]) == whole
    assert without(whole, [(0, 30)]) == []


@sizes(300, 3_000)
def test_joining_and_cutting_are_those_of_sets_of_seconds(examples: int) -> None:
    def law(drawn: tuple[list[Interval], list[Interval]]) -> None:
        some, cut = merged(drawn[0]), merged(drawn[1])
        assert some == runs(seconds(drawn[0]))
        assert without(some, cut) == runs(seconds(some) - seconds(cut))

    holds(examples, st.tuples(INTERVALS, INTERVALS), law)
