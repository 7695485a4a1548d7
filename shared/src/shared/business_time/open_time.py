"""What every clock counts in, be it one calendar or one version of it after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Stretch(NamedTuple):
    """From one second to before another, all of it open or all of it closed."""

    start: int
    end: int
    open: bool


class OpenTime(Protocol):
    """Arithmetic on seconds since the epoch. Every method raises BeyondReach rather than look further than it may."""

    def add(self, start: int, seconds: int, *, back: bool = False) -> int:
        """The second at which so many open seconds have passed since `start`; negative ones walk back.

        What runs out exactly at closing is over at that closing. No seconds: `start` where it is open, else the next
        opening, or with `back` the closing before.
        """
        ...

    def between(self, start: int, end: int) -> int:
        """How many open seconds lie between two; negative where `end` comes first."""
        ...

    def is_open(self, at: int) -> bool:
        """Whether a second is counted."""
        ...

    def next_open(self, at: int) -> int | None:
        """The first open second that is not before `at`; None where it never opens again."""
        return at if self.is_open(at) else self.next_change(at)

    def next_change(self, at: int) -> int | None:
        """The first second after `at` at which it opens or closes; None where it stays as it is for good."""
        ...

    def add_days(self, start: int, days: int) -> int:
        """The last closing of the so-manieth business day after that of `start`; `start` itself for none.

        A business day is a date of the calendar's zone on which a window begins of which something is open; a second in
        the tail of an overnight window belongs to the date on which that began.
        """
        ...

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """The whole way from `start` to before `end`, open and closed in turn."""
        while start < end:
            change = self.next_change(start)
            until = end if change is None else min(change, end)
            yield Stretch(start, until, self.is_open(start))
            start = until
