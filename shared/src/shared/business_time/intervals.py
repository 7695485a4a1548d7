"""Sets of whole seconds as intervals: each from its start to before its end, in order, none touching the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Interval = tuple[int, int]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """What lies in any of them; they may come in any order, overlap and touch."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found


def without(intervals: Iterable[Interval], cuts: Sequence[Interval]) -> list[Interval]:
    """What lies in one of the first and in none of the second; both are merged."""
    left: list[Interval] = []
    nearest = 0
    for start, end in intervals:
        while nearest < len(cuts) and cuts[nearest][1] <= start:
            nearest += 1
        following = nearest
        while following < len(cuts) and cuts[following][0] < end:
            if start < cuts[following][0]:
                left.append((start, cuts[following][0]))
            start = cuts[following][1]
            following += 1
        if start < end:
            left.append((start, end))
    return left
