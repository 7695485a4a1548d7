"""What business time costs: operations on one core, and building seven years, beside two libraries in the same run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytz
from businesstimedelta import BusinessTimeDelta, HolidayRule, Rules, WorkDayRule
from opening_hours import OpeningHours

from shared.business_time.calendar import Calendar, read_calendar
from shared.business_time.index import Index
from shared.business_time.seconds import instant, second
from shared.business_time.timeline import Timeline
from shared.contracts.calendars import WrittenCalendar
from tests.load.figures import Cell, Table

ZONE = "America/Argentina/Buenos_Aires"
BEGINS, ENDS = (second(datetime(year, 1, 1, tzinfo=UTC)) for year in (2023, 2030))
# A quarter of an hour to two hundred hours: what is promised.
TARGETS = [int(hours * 3_600) for hours in (0.25, 0.5, 1, 2, 4, 8, 16, 24, 40, 80, 120, 200)]
HOLIDAYS = [date(year, *day) for year in range(2023, 2036) for day in ((1, 1), (5, 1), (5, 25), (7, 9), (12, 25))]
OPERATIONS, TIMED_APART, ROUNDS = 200_000, 20_000, 5
# The libraries take so much longer.
FEWER = 2_000

Operation = Callable[[Any, Any], object]
Arguments = Sequence[tuple[Any, Any]]


def measure_calendars() -> list[Table]:
    """Operations and building; needs no server."""
    return [_operations(), _building()]


def _operations() -> Table:
    office, london = Index(_office_hours(ZONE)), Index(_office_hours("Europe/London"))
    third = (ENDS - BEGINS) // 3
    versions = Timeline([(None, office), (BEGINS + third, london), (ENDS - third, office)])
    asked = _draw()
    between = [(start, start + 3 * more) for start, more in asked]
    rows: list[tuple[str, Operation, Arguments]] = [
        ("add", office.add, asked),
        ("add, clocks that jump", london.add, asked),
        ("add backwards", office.add, [(start, -more) for start, more in asked]),
        ("add, three versions", versions.add, asked),
        ("add, from instant to instant", _add_to_instant(office), [(instant(start), more) for start, more in asked]),
        ("between", office.between, between),
        ("is_open", lambda start, _: office.is_open(start), asked),
        ("next_change", lambda start, _: office.next_change(start), asked),
        *_of_the_libraries(asked[:FEWER]),
    ]
    table = Table("calendars: operations on one core", ("operation", "per CPU second", "p50 µs", "p99 µs", "measured"))
    table.rows = [_measured(*row) for row in rows]
    table.notes = [
        f"starts over seven years, targets of {TARGETS[0] // 60} minutes to {TARGETS[-1] // 3600} open hours",
        f"per CPU second: the median of {ROUNDS} rounds; p50 and p99: calls timed one by one, timing included",
        _agreement(office, asked[:FEWER]),
    ]
    return table


def _of_the_libraries(asked: Sequence[tuple[int, int]]) -> list[tuple[str, Operation, Arguments]]:
    """businesstimedelta adds; opening-hours-py has no such thing, its next change is what one would add with."""
    rules, zone = _rules(), ZoneInfo(ZONE)
    hours = OpeningHours(_notation(), timezone=zone)
    added = [(instant(start), BusinessTimeDelta(rules, seconds=more)) for start, more in asked]
    looked_up = [(datetime.fromtimestamp(start, zone), None) for start, _ in asked]
    return [
        ("businesstimedelta: add", lambda start, more: start + more, added),
        ("opening-hours-py: next_change", lambda start, _: hours.next_change(start), looked_up),
    ]


def _measured(name: str, operation: Operation, arguments: Arguments) -> tuple[Cell, ...]:
    for first, then in arguments[:100]:
        operation(first, then)
    rounds = []
    for _ in range(ROUNDS if len(arguments) == OPERATIONS else 1):
        begun = time.process_time()
        for first, then in arguments:
            operation(first, then)
        rounds.append(len(arguments) / (time.process_time() - begun))
    apart = []
    for first, then in arguments[:TIMED_APART]:
        start = time.perf_counter_ns()
        operation(first, then)
        apart.append((time.perf_counter_ns() - start) / 1_000)
    apart.sort()
    return name, median(rounds), apart[len(apart) // 2], apart[len(apart) * 99 // 100], len(arguments)


def _building() -> Table:
    """Seven years. What comes first in a zone also looks for its jumps."""
    table = Table("calendars: seven years are built", ("what", "CPU ms", "windows"))
    for zone in (ZONE, "America/Santiago", "Europe/Madrid"):
        for said in ("zone not read before", "zone known"):
            calendar = _office_hours(zone)
            begun = time.process_time()
            index = Index(calendar)
            index.between(BEGINS, ENDS)
            milliseconds = (time.process_time() - begun) * 1_000
            windows = sum(stretch.open for stretch in index.stretches(BEGINS, ENDS))
            table.rows.append((f"{zone}, {said}", milliseconds, windows))
    begun, zone_info = time.process_time(), ZoneInfo(ZONE)
    told = OpeningHours(_notation(), timezone=zone_info).intervals(
        datetime.fromtimestamp(BEGINS, zone_info), datetime.fromtimestamp(ENDS, zone_info)
    )
    windows = sum(str(state) == "open" for _, _, state, _ in told)
    table.rows.append(("opening-hours-py, all intervals", (time.process_time() - begun) * 1_000, windows))
    table.notes = ["businesstimedelta builds nothing: it looks at each day of each sum"]
    return table


def _office_hours(zone: str) -> Calendar:
    week = {day: [("09:00", "18:00")] for day in ("mon", "tue", "wed", "thu", "fri")}
    written = {"timezone": zone, "weekly": week, "holidays": HOLIDAYS}
    return read_calendar(WrittenCalendar.model_validate(written))


def _notation() -> str:
    return "; ".join(["Mo-Fr 09:00-18:00", *(f"{day:%Y %b %d} off" for day in HOLIDAYS)])


def _rules() -> Rules:
    zone = pytz.timezone(ZONE)
    return Rules([WorkDayRule(tz=zone), HolidayRule(HOLIDAYS, tz=zone)])


def _draw() -> list[tuple[int, int]]:
    """The same starts and targets in every run."""
    drawn = random.Random(12)
    return [(drawn.randrange(BEGINS, ENDS), drawn.choice(TARGETS)) for _ in range(OPERATIONS)]


def _add_to_instant(index: Index) -> Operation:
    return lambda start, more: instant(index.add(second(start), more))


def _agreement(index: Index, asked: Sequence[tuple[int, int]]) -> str:
    rules = _rules()
    same = sum(
        second(instant(start) + BusinessTimeDelta(rules, seconds=more)) == index.add(start, more)
        for start, more in asked
    )
    return f"businesstimedelta finds the due that the index finds in {same:,} of {len(asked):,}"
