"""One calendar after another: what a clock counts in when versions take over from each other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from shared.business_time.index import BeyondReach, Index, days_beyond_reach
from shared.business_time.open_time import OpenTime
from shared.business_time.zones import DAY

# Before and after everything that is ever asked for.
_EVER = 1 << 62


class _Piece(NamedTuple):
    start: int
    end: int
    hours: Index


class Timeline(OpenTime):
    """The open time of several calendars, each from its second on until the next takes over."""

    def __init__(self, pieces: Sequence[tuple[int | None, Index]]) -> None:
        """`pieces` come in order. The first one counts from ever, whatever second it names."""
        starts = [-_EVER, *(-_EVER if start is None else start for start, _ in pieces[1:])]
        self._pieces = [
            _Piece(start, end, hours)
            for (start, end), (_, hours) in zip(pairwise([*starts, _EVER]), pieces, strict=True)
            if start < end
        ]
        self._starts = [piece.start for piece in self._pieces]

    def add(self, start: int, seconds: int, *, back: bool = False) -> int:
        """See OpenTime."""
        if seconds > 0:
            return self._forth(start, seconds)
        if seconds < 0:
            return self._back(start, seconds)
        if self.is_open(start):
            return start
        if back:
            return self._back(start, -1) + 1
        opening = self.next_open(start)
        if opening is None:
            raise BeyondReach("the calendar never opens again after that instant; ask from an earlier one")
        return opening

    def between(self, start: int, end: int) -> int:
        """See OpenTime."""
        if end < start:
            return -self.between(end, start)
        return sum(
            piece.hours.between(max(start, piece.start), min(end, piece.end))
            for piece in self._from(start)
            if piece.start < end
        )

    def is_open(self, at: int) -> bool:
        """See OpenTime."""
        return self._at(at).hours.is_open(at)

    def next_change(self, at: int) -> int | None:
        """See OpenTime."""
        now = self.is_open(at)
        for piece in self._from(at):
            begins = max(at, piece.start)
            if piece.hours.is_open(begins) != now:
                return begins
            change = piece.hours.next_change(begins)
            if change is not None and change < piece.end:
                return change
        return None

    def add_days(self, start: int, days: int) -> int:
        """See OpenTime. A date within which another calendar takes over is one business day, in either or in both."""
        if days < 1:
            return start
        last = self._at(start).hours.day_of(start)
        counted, closing = 0, start
        for day, closes in self._closings_of_days(start):
            if day > last:
                if counted == days:
                    return closing
                last, counted, closing = day, counted + 1, closes
            elif day == last and counted:
                closing = closes
        if counted == days:
            return closing
        raise days_beyond_reach(days)

    def _forth(self, start: int, seconds: int) -> int:
        *others, last = self._from(start)
        for piece in others:
            begins = max(start, piece.start)
            open_seconds = piece.hours.between(begins, piece.end)
            if seconds <= open_seconds:
                return piece.hours.add(begins, seconds)
            seconds -= open_seconds
        return last.hours.add(max(start, last.start), seconds)

    def _back(self, start: int, seconds: int) -> int:
        first, *others = self._pieces[: bisect_right(self._starts, start)]
        for piece in reversed(others):
            ends = min(start, piece.end)
            open_seconds = piece.hours.between(piece.start, ends)
            if seconds + open_seconds >= 0:
                return piece.hours.add(ends, seconds)
            seconds += open_seconds
        return first.hours.add(min(start, first.end), seconds)

    def _closings_of_days(self, start: int) -> Iterator[tuple[int, int]]:
        for piece in self._from(start):
            begins = max(start, piece.start)
            yield from piece.hours.closings_of_days(begins // DAY - 2, begins, piece.end)

    def _at(self, at: int) -> _Piece:
        return self._pieces[bisect_right(self._starts, at) - 1]

    def _from(self, at: int) -> list[_Piece]:
        return self._pieces[bisect_right(self._starts, at) - 1 :]
