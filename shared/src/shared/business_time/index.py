"""Open seconds counted once: intervals in order and how much lies before each, looked up from both sides."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import NamedTuple

from shared.business_time.calendar import Calendar, day_number
from shared.business_time.intervals import Interval, merged
from shared.business_time.open_time import OpenTime
from shared.business_time.zones import DAY, FIRST_YEAR, LAST_YEAR, REACH_END, REACH_START, wall_clock
from shared.errors import Invalid

_YEAR = 366 * DAY
_REACH_LAST_DAY = REACH_END // DAY


class BeyondReach(Invalid):
    """What was asked for lies outside the years in which a calendar means something."""

    code = "beyond-reach"
    title = "The calendar does not reach so far"


class _Counted(NamedTuple):
    """What is open from `since` to before `until`.

    The first interval is an empty one at `since`, so every second has an interval that begins at or before it.
    `opened` holds the open seconds before each interval, and at its end all of them; `closed` the closed ones, so that
    a second within an interval is what was open before it and what was closed, together.
    """

    since: int
    until: int
    openings: list[int]
    closings: list[int]
    closed: list[int]
    opened: list[int]


class Index(OpenTime):
    """The open time of one calendar. It reaches as far as it was asked, and further by growing steps.

    What is counted is replaced whole when it grows, never changed: threads may share an index.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        always = _every_week(calendar)
        if always is None:
            self._counted = _count(0, 0, [])
        else:
            self._counted = _count(REACH_START, REACH_END, _around_dates(calendar, always))

    def add(self, start: int, seconds: int, *, back: bool = False) -> int:
        """See OpenTime."""
        since, until, openings, closings, closed, opened = self._counted
        if since <= start < until:
            at = bisect_right(openings, start) - 1
            closing = closings[at]
            goal = (start if start < closing else closing) - closed[at] + seconds
            if seconds > 0:
                if goal <= opened[-1]:
                    return goal + closed[bisect_left(opened, goal) - 1]
                wanted = until
            elif seconds == 0 and start < closing:
                return start
            elif back and seconds == 0:
                return self.add(start, -1) + 1
            elif goal < 0:
                wanted = since - 1
            elif goal < opened[-1]:
                return goal + closed[bisect_right(opened, goal) - 1]
            else:
                wanted = until
        else:
            wanted = start
        if self._reach(wanted) is None:
            raise BeyondReach(
                f"{seconds} open seconds from second {start} of the epoch: the calendar has not so many between "
                f"{FIRST_YEAR} and {LAST_YEAR}; ask for fewer, or from another instant"
            )
        return self.add(start, seconds, back=back)

    def between(self, start: int, end: int) -> int:
        """See OpenTime."""
        since, until, openings, closings, closed, _ = self._counted
        if since <= start < until and since <= end < until:
            first, last = bisect_right(openings, start) - 1, bisect_right(openings, end) - 1
            return min(end, closings[last]) - closed[last] - min(start, closings[first]) + closed[first]
        self._must_reach(start)
        self._must_reach(end)
        return self.between(start, end)

    def is_open(self, at: int) -> bool:
        """See OpenTime."""
        counted = self._must_reach(at)
        return at < counted.closings[bisect_right(counted.openings, at) - 1]

    def next_change(self, at: int) -> int | None:
        """See OpenTime."""
        counted: _Counted | None = self._must_reach(at)
        while counted is not None:
            following = bisect_right(counted.openings, at)
            change = counted.closings[following - 1]
            if change <= at:
                change = counted.openings[following] if following < len(counted.openings) else counted.until
            if change < counted.until:
                return change
            # From here on, and not from what another thread may have kept meanwhile: that may not hold `at`.
            counted = self._reach(counted.until, counted)
        return None

    def add_days(self, start: int, days: int) -> int:
        """See OpenTime."""
        if days < 1:
            return start
        closings = self.closings_of_days(self.day_of(start) + 1, REACH_START, REACH_END)
        found = next(islice(closings, days - 1, None), None)
        if found is None:
            raise days_beyond_reach(days)
        return found[1]

    def day_of(self, at: int) -> int:
        """The number of the date to which a second belongs: its own, or that before while only its window is open."""
        self._must_reach(at)
        day = wall_clock(self.calendar.timezone, at) // DAY
        if _holds(self.calendar.open_on(day - 1), at) and not _holds(self.calendar.open_on(day), at):
            return day - 1
        return day

    def closings_of_days(self, first: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The business days from a date on, by number, each with the last closing of what it has from `start` to `end`.

        A business day is a date on which a window begins of which something is open.
        """
        calendar = self.calendar
        last = _REACH_LAST_DAY if any(calendar.weekly) else day_number(max(calendar.special_days, default=date.min))
        for day in range(first, min(last, end // DAY + 1) + 1):
            within = [closing for opening, closing in calendar.open_on(day) if opening < end and closing > start]
            if within:
                yield day, min(within[-1], end)

    def _must_reach(self, at: int) -> _Counted:
        counted = self._reach(at)
        if counted is None:
            raise BeyondReach(
                f"second {at} of the epoch lies outside the years {FIRST_YEAR} to {LAST_YEAR}; is the instant right?"
            )
        return counted

    def _reach(self, at: int, known: _Counted | None = None) -> _Counted | None:
        """What is counted, as far as `at` at least and all that is `known`; None where that lies too far away."""
        counted = known or self._counted
        since, until = counted.since, counted.until
        if since <= at < until:
            return counted
        if not REACH_START <= at < REACH_END:
            return None
        if since == until:
            since = until = at
        # Twice as much as before, so that however far it grows each second is counted a few times at most.
        step = max(_YEAR, until - since)
        earlier = max(REACH_START, at - step) if at <= since else since
        later = min(REACH_END, at + step) if at >= until else until
        intervals = [
            *self.calendar.open_seconds(earlier, since),
            *zip(counted.openings, counted.closings, strict=True),
            *self.calendar.open_seconds(until, later),
        ]
        grown = _count(earlier, later, merged(intervals))
        self._counted = grown
        return grown


def days_beyond_reach(days: int) -> BeyondReach:
    """That a calendar has not so many business days."""
    return BeyondReach(f"{days} business days: the calendar has not so many until {LAST_YEAR}; ask for fewer")


def _holds(intervals: Iterable[Interval], at: int) -> bool:
    return any(opening <= at < closing for opening, closing in intervals)


def _count(since: int, until: int, intervals: Iterable[Interval]) -> _Counted:
    openings, closings, closed, opened = [since], [since], [since], [0]
    total = 0
    for opening, closing in intervals:
        openings.append(opening)
        closings.append(closing)
        closed.append(opening - total)
        opened.append(total)
        total += closing - opening
    opened.append(total)
    return _Counted(since, until, openings, closings, closed, opened)


def _every_week(calendar: Calendar) -> bool | None:
    """Whether every second of every week is open, or none is, dates aside; None for anything between."""
    some_weeks = replace(calendar, holidays=frozenset(), special_days={}, breaks={}).open_readings(0, 20)
    if not some_weeks:
        return False
    opening, closing = some_weeks[0]
    return True if opening <= 7 * DAY and closing >= 14 * DAY else None


def _around_dates(calendar: Calendar, always: bool) -> list[Interval]:
    """The whole reach of a calendar that is the same in every second but around some dates."""
    days = [day_number(day) for day in calendar.dated()]
    if not days:
        return [(REACH_START, REACH_END)] if always else []
    start, end = max(REACH_START, (min(days) - 1) * DAY), min(REACH_END, (max(days) + 3) * DAY)
    around = calendar.open_seconds(start, end)
    return merged([(REACH_START, start), *around, (end, REACH_END)]) if always else around
