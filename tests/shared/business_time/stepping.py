"""Business time by looking at the wall clock second after second: slow, plain, and without a line of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

# A calendar as it is written: {"timezone": …, "weekly": {"mon": [["09:00", "18:00"]]}, "holidays": ["2026-07-09"], …}
Written = dict[str, Any]
Windows = Sequence[Sequence[str]]

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FARTHEST = 11 * 86_400


class TooFar(Exception):
    """The answer lies farther away than anybody wants to step."""


@cache
def zone(name: str) -> ZoneInfo:
    """A zone of the package, whatever this machine has."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def second(said: str) -> int:
    """The second of an instant in ISO 8601."""
    return int(datetime.fromisoformat(said).timestamp())


class Shown(NamedTuple):
    """A date on the wall: what begins on it and what began the day before."""

    today: date
    windows: Windows
    breaks: Windows
    yesterday: date
    windows_before: Windows
    breaks_before: Windows

    # Readings are compared as texts: "09:00" is before "09:00:00", and "24:00" after all.
    def opened_by(self, reading: str) -> frozenset[date]:
        """The dates whose windows show at a reading."""
        if _begun_today(self.breaks, reading) or _begun_yesterday(self.breaks_before, reading):
            return frozenset()
        found = [self.today] if _begun_today(self.windows, reading) else []
        return frozenset([*found, self.yesterday] if _begun_yesterday(self.windows_before, reading) else found)


class Stepped:
    """One calendar after another, each from its second on.

    `step` is how many seconds are looked at as one: 60 where windows and offsets keep to whole minutes, else 1.
    """

    def __init__(self, calendars: Sequence[tuple[int | None, Written]], step: int) -> None:
        self._calendars = calendars
        self._step = step
        self._seen: dict[int, frozenset[date]] = {}
        self._shown: dict[tuple[int, str], Shown] = {}

    def is_open(self, at: int) -> bool:
        """Whether any window shows."""
        return bool(self.opened_by(at))

    def opened_by(self, at: int) -> frozenset[date]:
        """The dates whose windows make a second open."""
        number = at // self._step
        if number not in self._seen:
            self._seen[number] = self._look(at)
        return self._seen[number]

    def between(self, start: int, end: int) -> int:
        """Counts."""
        if end < start:
            return -self.between(end, start)
        counted = 0
        while start < end:
            until = min(end, self._next(start))
            if self.is_open(start):
                counted += until - start
            start = until
        return counted

    def add(self, start: int, seconds: int, back: bool = False) -> int:
        """Walks until so many were counted."""
        if seconds == 0 and self.is_open(start):
            return start
        if seconds < 0:
            return self._walk_back(start, -seconds)
        if seconds == 0 and back:
            return self._walk_back(start, 1) + 1
        at, left = start, seconds
        while at < start + _FARTHEST:
            if self.is_open(at):
                if left <= self._next(at) - at:
                    return at + left
                left -= self._next(at) - at
            at = self._next(at)
        raise TooFar

    def next_change(self, at: int) -> int:
        """Looks on until it is otherwise."""
        now, start = self.is_open(at), at
        while at < start + _FARTHEST:
            at = self._next(at)
            if self.is_open(at) != now:
                return at
        raise TooFar

    def day_of(self, at: int) -> date:
        """The date to which a second belongs: that of the wall clock, unless only the night before's window is open."""
        today = datetime.fromtimestamp(at, zone(self._calendar(at)[1]["timezone"])).date()
        opened_by = self.opened_by(at)
        return today if not opened_by or today in opened_by else min(opened_by)

    def add_days(self, start: int, days: int) -> int:
        """Notes for each date when it was last open, from `start` on."""
        if days == 0:
            return start
        first, at = self.day_of(start), start
        last_open: dict[date, int] = {}
        while at < start + _FARTHEST:
            for day in self.opened_by(at):
                last_open[day] = self._next(at)
            later = sorted(day for day in last_open if day > first)
            if len(later) >= days and at > last_open[later[days - 1]] + 3 * 86_400:
                return last_open[later[days - 1]]
            at = self._next(at)
        raise TooFar

    def _walk_back(self, start: int, left: int) -> int:
        at = start
        while at > start - _FARTHEST:
            before = (at - 1) // self._step * self._step
            if self.is_open(before):
                if left <= at - before:
                    return at - left
                left -= at - before
            at = before
        raise TooFar

    def _next(self, at: int) -> int:
        return (at // self._step + 1) * self._step

    def _look(self, at: int) -> frozenset[date]:
        number, written = self._calendar(at)
        wall = datetime.fromtimestamp(at, zone(written["timezone"])).isoformat()
        day, reading = wall[:10], wall[11:19]
        if (number, day) not in self._shown:
            self._shown[number, day] = _shown(written, date.fromisoformat(day))
        return self._shown[number, day].opened_by(reading)

    def _calendar(self, at: int) -> tuple[int, Written]:
        found = 0
        for number, (start, _) in enumerate(self._calendars):
            if number and start is not None and start <= at:
                found = number
        return found, self._calendars[found][1]


def _shown(written: Written, today: date) -> Shown:
    yesterday = today - timedelta(days=1)
    breaks = written["breaks"]
    return Shown(
        today, _windows(written, today), breaks.get(today.isoformat(), ()),
        yesterday, _windows(written, yesterday), breaks.get(yesterday.isoformat(), ()),
    )  # fmt: skip


def _begun_today(windows: Windows, reading: str) -> bool:
    return any(opening <= reading and (reading < closing or closing <= opening) for opening, closing in windows)


def _begun_yesterday(windows: Windows, reading: str) -> bool:
    return any(closing <= opening and reading < closing for opening, closing in windows)


def _windows(written: Written, day: date) -> Windows:
    if day.isoformat() in written["special_days"]:
        return written["special_days"][day.isoformat()]  # type: ignore[no-any-return]
    if day.isoformat() in written["holidays"]:
        return ()
    return written["weekly"].get(_WEEK[day.weekday()], ())  # type: ignore[no-any-return]
