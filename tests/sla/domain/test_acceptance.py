"""Facts dated in the order of their acceptance: the clock ends as its ticket does, and time is not told of the past."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import Cause
from shared.instants import under_lock
from sla.domain.clock import Fact, FactKind, Terms, share
from sla.domain.fold import fold
from tests.sla.domain.hosts import ticket_clock
from tests.sla.domain.lives import CALENDARS, DAY_AND_NIGHT, ZERO

TERMS = Terms("resolution", 12, frozenset({"waiting-for-client"}), (share(50, 12), share(75, 12)), DAY_AND_NIGHT)
# What hosts say that take requests within a few seconds of each other, each clock wrong by up to two.
_readings = st.lists(st.floats(-2, 14).map(lambda seconds: ZERO + timedelta(seconds=seconds)), max_size=9)


def accepted(readings: list[datetime]) -> list[Fact]:
    """The start, and then a hold and a release by turns, each taken by a host whose clock said that."""
    facts = [Fact(UUID(int=1), FactKind.START, ZERO, 1)]
    for number, says in enumerate(readings, start=2):
        request = Cause(actor="ana", occurred_at=says, recorded_at=says, correlation_id="r")
        with patch("shared.clock.now", lambda says=says: says):
            at = under_lock(request, facts[-1].occurred_at).occurred_at
        pauses = number % 2 == 0
        kind, reason = (FactKind.PAUSE, "waiting-for-client") if pauses else (FactKind.RESUME, None)
        facts.append(Fact(UUID(int=number), kind, at, number, "resolution", reason))
    return facts


@given(_readings, st.randoms())
def test_the_clock_ends_as_the_ticket_does_in_whatever_order_the_facts_arrive(
    readings: list[datetime], chance: Any
) -> None:
    facts = accepted(readings)
    is_held = len(facts) % 2 == 0
    chance.shuffle(facts)
    folded = fold(TERMS, facts, CALENDARS)
    assert folded is not None
    assert folded.clock.course == ("paused" if is_held else "running")


@given(_readings, st.lists(st.floats(0, 3), min_size=10, max_size=10))
def test_what_time_does_is_never_dated_before_a_fact_that_was_heard(
    readings: list[datetime], lateness: list[float]
) -> None:
    """Between the facts the timers are looked at, late by any time, by a host whose clock is right."""
    clock, heard = ticket_clock(TERMS), []
    for fact, late in zip(accepted(readings), lateness, strict=False):
        heard.append(fact)
        clock.refold(heard, fact.occurred_at, CALENDARS)
        for happening in clock.pass_time(fact.occurred_at + timedelta(seconds=late), CALENDARS):
            assert happening.at >= fact.occurred_at.replace(microsecond=0)
