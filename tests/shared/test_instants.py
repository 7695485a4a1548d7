"""The instant under the lock: after everything before it, whatever the clocks say, and no dated fact is dated anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import Cause
from shared.instants import (
    CLOCK_SKEW,
    STEP,
    DatedReasonMissing,
    OccurredInTheFuture,
    dated,
    under_lock,
)
from tests.contracts.messages import example, record_of

ZERO = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def cause(occurred: float, recorded: float | None = None) -> Cause:
    given = at(occurred if recorded is None else recorded)
    return Cause(actor="ana", occurred_at=at(occurred), recorded_at=given, correlation_id="request-1")


def taken_up(why: Cause, clock_says: float, latest: datetime | None) -> Cause:
    with patch("shared.clock.now", lambda: at(clock_says)):
        return under_lock(why, latest)


def instants(why: Cause) -> tuple[datetime, datetime]:
    return why.occurred_at, why.recorded_at


def test_what_waited_for_its_turn_happened_when_its_turn_came() -> None:
    assert instants(taken_up(cause(0), 3, at(2))) == (at(3), at(3))


def test_the_first_fact_of_all_has_nothing_before_it() -> None:
    assert instants(taken_up(cause(0), 3, None)) == (at(3), at(3))


def test_a_host_whose_clock_is_behind_goes_on_a_microsecond_later() -> None:
    assert instants(taken_up(cause(0), 1, at(2))) == (at(2) + STEP,) * 2
    assert instants(taken_up(cause(0), 2, at(2))) == (at(2) + STEP,) * 2


def test_what_a_caller_dated_keeps_its_date_and_is_recorded_in_its_turn() -> None:
    assert instants(taken_up(cause(-600, 0), 3, at(2))) == (at(-600), at(3))
    assert instants(taken_up(cause(-600, 0), 1, at(2))) == (at(-600), at(2) + STEP)
    assert instants(taken_up(cause(5, 6), 1, at(2))) == (at(2) + STEP,) * 2, "never after it was recorded"


def test_everything_else_of_a_cause_stays() -> None:
    before: dict[str, Any] = {"actor": "ana", "correlation_id": "c", "causation_id": "x", "origin": "import"}
    after = taken_up(Cause(occurred_at=at(0), recorded_at=at(0), traceparent="00-1", **before), 3, None)
    assert {name: getattr(after, name) for name in before} == before
    assert after.traceparent == "00-1"


@pytest.mark.parametrize("reason", [None, "", "It was late."])
def test_what_nobody_dates_is_as_it_was(reason: str | None) -> None:
    why = cause(0)
    assert dated(why, None, reason) is why


@pytest.mark.parametrize(("seconds", "reason"), [(0, None), (-1, None), (-900, None), (-901, "no line"), (-1e7, "x")])
def test_a_dated_fact_happened_then_and_is_recorded_in_its_turn(seconds: float, reason: str | None) -> None:
    why = dated(cause(0), at(seconds), reason)
    assert instants(why) == (at(seconds), at(0))
    assert instants(taken_up(why, 3, at(2))) == (at(seconds) if seconds else at(3), at(3))


def test_a_date_of_another_zone_is_the_same_instant_in_utc() -> None:
    stated = at(-60).astimezone(timezone(timedelta(hours=-3)))
    told = dated(cause(0), stated, None).occurred_at
    assert (told, told.utcoffset()) == (at(-60), timedelta(0))


def test_a_clock_that_is_a_little_ahead_means_now_and_more_than_that_is_refused() -> None:
    assert instants(dated(cause(0), at(0) + CLOCK_SKEW, None)) == (at(0), at(0))
    with pytest.raises(OccurredInTheFuture) as refused:
        dated(cause(0), at(0) + CLOCK_SKEW + STEP, "a reason does not help")
    assert refused.value.message == (
        "occurred_at 2026-11-02T14:03:05.000001Z is more than 5 seconds after now, 2026-11-02T14:03:00.000000Z: say an "
        "instant up to now, or leave it out"
    )


@pytest.mark.parametrize("reason", [None, ""])
def test_what_is_told_late_says_why(reason: str | None) -> None:
    dated(cause(0), at(-900), reason)
    with pytest.raises(DatedReasonMissing) as refused:
        dated(cause(0), at(-900) - STEP, reason)
    assert refused.value.message == (
        "occurred_at 2026-11-02T13:47:59.999999Z is more than 15 minutes before now, 2026-11-02T14:03:00.000000Z: say "
        "in occurred_late_reason why it is told only now; from 2026-11-02T13:48:00.000000Z on none is needed"
    )


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-20, 20), st.integers(-5, 5), st.booleans()), min_size=2))
def test_instants_grow_in_the_order_of_acceptance(turns: Sequence[tuple[int, int, int, bool]]) -> None:
    """Each turn: when its request came, how wrong that host's clock was, its step meanwhile, dated or not."""
    latest: datetime | None = None
    recorded = []
    for moment, (came, wrong, step, told) in enumerate(sorted(turns, key=lambda turn: turn[2])):
        stated = came + wrong
        why = taken_up(cause(stated - 30 if told else stated, stated), moment + wrong + step, latest)
        assert why.occurred_at <= why.recorded_at
        assert told or why.occurred_at == why.recorded_at
        latest = why.recorded_at
        recorded.append(latest)
    assert all(earlier < later for earlier, later in pairwise(recorded))


def test_a_reaction_is_recorded_after_what_it_reacts_to() -> None:
    event = record_of(example("desk.ticket.opened.v1")).read()
    early = event.recorded_at - timedelta(seconds=1.5)
    late = event.recorded_at + timedelta(seconds=1.5)
    assert event.cause(actor="system:sla", recorded_at=early).recorded_at == event.recorded_at
    assert event.cause(actor="system:sla", recorded_at=late).recorded_at == late
