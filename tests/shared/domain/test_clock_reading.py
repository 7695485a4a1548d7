"""What a clock shows at an instant, by hand: office hours of a week in UTC, a target of two hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.clock_reading import Reading, read_clock
from tests.shared.business_time.drawing import WORKING, every, indexed

HOURS = indexed({"timezone": "UTC", "weekly": every(("09:00", "18:00"), days=WORKING)})
HOUR = 3_600
STEP = timedelta(microseconds=1)


def friday(reading: str) -> datetime:
    """An instant of Friday the 6th of March 2026; Monday is the 9th."""
    return datetime.fromisoformat(f"2026-03-06T{reading}+00:00")


FOUR, CLOSING, MONDAY = friday("16:00"), friday("18:00"), datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Kept:
    """A clock that runs since four on Friday, and is due when business closes."""

    course: str = "running"
    outcome: str = "pending"
    target_seconds: int = 2 * HOUR
    elapsed_seconds: int = 0
    since: datetime = FOUR
    due_at: datetime | None = CLOSING
    breached_at: datetime | None = None


RUNS = Kept()
# It rests, or was missed on Monday and goes on, rests or has ended, or it was met.
RESTS = Kept(course="paused", elapsed_seconds=HOUR, since=friday("17:00"), due_at=None)
MISSED = Kept(outcome="breached", breached_at=MONDAY)
MISSED_RESTS = replace(MISSED, course="paused", elapsed_seconds=3 * HOUR, since=MONDAY + ONE_HOUR, due_at=None)
MISSED_ENDED = replace(MISSED_RESTS, course="stopped", due_at=CLOSING)
ENDED = Kept(course="stopped", outcome="met", elapsed_seconds=HOUR, since=friday("17:00"))


@pytest.mark.parametrize(
    ("kept", "now", "shown"),
    [
        (RUNS, friday("17:00"), Reading("running", HOUR, None, True, friday("18:00"), MONDAY)),
        (RUNS, friday("17:00") + STEP, Reading("running", HOUR - 1, None, True, friday("18:00"), MONDAY)),
        # Nothing is left at closing, and over the weekend it is not missed.
        (RUNS, friday("18:00"), Reading("closed", 0, None, False, MONDAY, MONDAY)),
        (RUNS, MONDAY, Reading("running", 0, None, True, MONDAY + timedelta(hours=9), MONDAY)),
        # That it is missed is seen before its event has come, and goes on day and night.
        (RUNS, MONDAY + STEP, Reading("breached", -1, 1, True, MONDAY + timedelta(hours=9), None)),
        (
            RUNS, MONDAY + timedelta(days=1, hours=-1),
            Reading("breached", -9 * HOUR, 23 * HOUR, False, MONDAY + timedelta(days=1), None),
        ),
        (
            MISSED, MONDAY + timedelta(hours=1),
            Reading("breached", -HOUR, HOUR, True, MONDAY + timedelta(hours=9), None),
        ),
        (RESTS, MONDAY, Reading("paused", HOUR, None, False, None, None)),
        (ENDED, MONDAY, Reading("met", HOUR, None, False, None, None)),
        (MISSED_RESTS, MONDAY + timedelta(hours=4), Reading("breached", -HOUR, 4 * HOUR, False, None, None)),
        (MISSED_ENDED, MONDAY + timedelta(hours=4), Reading("breached", -HOUR, HOUR, False, None, None)),
        (
            replace(ENDED, course="cancelled", outcome="pending"), MONDAY,
            Reading("cancelled", HOUR, None, False, None, None),
        ),
        (
            replace(MISSED_ENDED, course="cancelled"), MONDAY + timedelta(hours=4),
            Reading("cancelled", -HOUR, HOUR, False, None, None),
        ),
        (replace(ENDED, course="void"), MONDAY, Reading("void", HOUR, None, False, None, None)),
    ],
)  # fmt: skip
def test_a_clock_shows_what_its_last_event_and_its_calendar_say(kept: Kept, now: datetime, shown: Reading) -> None:
    assert read_clock(kept, HOURS, now) == shown


def test_what_was_used_up_before_a_hold_is_missed_by_the_first_second_that_counts_after_it() -> None:
    released = MONDAY + timedelta(hours=2)
    kept = replace(RUNS, elapsed_seconds=2 * HOUR, since=released)
    at_once = read_clock(kept, HOURS, released)
    assert (at_once.state, at_once.remaining_seconds, at_once.breaches_at) == ("running", 0, released)
    late = read_clock(kept, HOURS, released + timedelta(seconds=5))
    assert (late.state, late.remaining_seconds, late.overdue_wall_seconds) == ("breached", -5, 5)


def test_before_its_last_event_nothing_is_given_back() -> None:
    """The event may come from a host whose clock is ahead."""
    assert read_clock(RUNS, HOURS, friday("15:00")).remaining_seconds == 2 * HOUR
