"""Whatever is told of a clock carries the clock: whoever keeps the latest event of it knows the clock as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.envelope import Origin
from shared.contracts.sla import ClockEvent, ClockState, SlaClockResumed
from shared.contracts.tickets import HoldReason
from sla.domain.clock import Clock, Fact, Terms
from tests.sla.domain.hosts import Host, ticket_clock
from tests.sla.domain.lives import (
    ALWAYS,
    CALENDARS,
    at,
    fact,
    lives,
    resolution,
    response,
    seconds_of,
)

PAUSING: tuple[HoldReason, ...] = ("waiting-for-client", "agreed-date")
TERMS = resolution(10, PAUSING)
# Later than whatever happens in a life that is drawn.
END = 20

Step = Fact | float


@st.composite
def arrivals(draw: st.DrawFn) -> list[Step]:
    """The facts of a life in any order, some of them twice, and between them the instants at which timers look.

    So short that they often come back to a second in which something was told before.
    """
    facts = draw(lives(12, 2, (*PAUSING, "development")))
    if draw(st.booleans()):
        # As it is nearly always: nothing is heard of a ticket before its opening.
        facts.sort(key=lambda one: one.kind != "start")
    steps: list[Step] = []
    for one in [*facts, *draw(st.lists(st.sampled_from(facts), max_size=2))]:
        if draw(st.integers(0, 3)) == 0:
            steps.append(draw(st.integers(0, 24)) / 2)
        steps.append(one)
    return steps


def remaining(state: ClockState, instant: datetime) -> float:
    """What is left, as a reader of events works it out: it knows no clock, only what the contract of the event says."""
    since = (instant - state.since).total_seconds() if state.course == "running" else 0
    return state.target_seconds - state.elapsed_seconds - since


def said_of(state: ClockState) -> dict[str, object]:
    names = ("course", "outcome", "due_at", "breached_at", "pause_reason", "warned_as", "target_seconds", "started_at")
    return {name: getattr(state, name) for name in names}


def expected_of(clock: Clock, terms: Terms, origin: Origin) -> dict[str, object]:
    """The same of the clock as it is kept. What was imported warns nobody, whatever it has reached."""
    warned = [one.said_as for one in terms.thresholds if one.seconds <= clock.warned_seconds]
    missed = clock.breached_at is not None
    return {
        "course": clock.course,
        "outcome": "breached" if missed else "met" if clock.course == "stopped" else "pending",
        "due_at": clock.due_at,
        "breached_at": clock.breached_at,
        "pause_reason": clock.hold if clock.course == "paused" else None,
        "warned_as": warned[-1] if warned and origin == "live" else None,
        "target_seconds": terms.target_seconds,
        "started_at": clock.started_at,
    }


# What was once wrong showed in one life of three hundred.
@settings(max_examples=1000)
@given(
    st.integers(1, 8).map(lambda target: resolution(target, PAUSING)), arrivals(), st.sampled_from(["live", "import"])
)
def test_the_latest_event_that_left_means_what_is_kept(terms: Terms, steps: Sequence[Step], origin: Origin) -> None:
    """After every fact and every look, also where an event is not sent since its id was: a breach may come back."""
    host, now = Host(ticket_clock(terms, origin=origin)), 0.0
    for step in steps:
        if isinstance(step, Fact):
            host.hear(step, now)
        else:
            now = max(now, step)
            host.look(now)
        if host.clock.clock is None:
            assert host.told == []
            continue
        told = host.published()[-1].clock
        assert said_of(told) == expected_of(host.stored, terms, origin)
        # `since` and what was counted may both be told otherwise: as much of a pause was added as was taken away.
        for later in (END, END + 1, END * 1000):
            assert remaining(told, at(later)) == terms.target_seconds - host.stored.elapsed_seconds(ALWAYS, at(later))


# --- decisions, by hand ----------------------------------------------------------------------------------------------


def host_that_heard(*steps: Step, terms: Terms = TERMS) -> Host:
    """Facts and looks in the order of their arrival, each fact at once unless a look came between."""
    host, now = Host(ticket_clock(terms)), 0.0
    for step in steps:
        if isinstance(step, Fact):
            now = max(now, seconds_of(step))
            host.hear(step, now)
        else:
            now = step
            host.look(now)
    return host


def names(events: Sequence[ClockEvent]) -> list[str]:
    return [event.type.removeprefix("desk.sla-clock.").removesuffix(".v1") for event in events]


START = fact("start", 0)
HELD, RELEASED = fact("pause", 3, "waiting-for-client"), fact("resume", 6)
FOR_DEVELOPMENT = fact("pause", 50.5, "development")
RESOLVED, REOPENED = fact("stop", 4), fact("reopen", 50)


@pytest.mark.parametrize(
    ("arrived", "because"),
    [
        ((HELD, RELEASED), "released"),
        ((RELEASED, HELD), "corrected"),
        ((RESOLVED, REOPENED), "reopened"),
        ((REOPENED, RESOLVED), "corrected"),
        ((RESOLVED, FOR_DEVELOPMENT, REOPENED), "reopened"),
        # Its release was not told so far: nobody holds a ticket for another reason before.
        ((HELD, FOR_DEVELOPMENT), "corrected"),
        ((HELD, RESOLVED, REOPENED), "reopened"),
    ],
)
def test_a_clock_that_runs_on_says_why(arrived: Sequence[Fact], because: str) -> None:
    event = host_that_heard(START, *arrived).told[-1][1]
    assert isinstance(event, SlaClockResumed)
    assert (event.because, event.clock.course) == (because, "running")


def test_a_hold_that_pauses_nothing_is_told_nobody() -> None:
    host = host_that_heard(START, fact("pause", 3, "development"), fact("resume", 4))
    assert names(host.published()) == ["started"]


@pytest.mark.parametrize(
    ("breached", "late", "told"),
    [
        ((RELEASED, 12.0), HELD, "resumed"),
        ((12.0,), HELD, "paused"),
        ((fact("stop", 12),), HELD, "met"),
        ((fact("cancel", 12),), HELD, "cancelled"),
    ],
    ids=["running", "paused", "stopped", "cancelled"],
)
def test_a_breach_that_a_late_fact_takes_back_is_told_as_a_clock_without_one(
    breached: Sequence[Step], late: Fact, told: str
) -> None:
    host = host_that_heard(START, *breached)
    assert (host.stored.breached_at, host.told[-1][1].clock.outcome) == (at(10), "breached")
    (event,) = host.hear(late, 13)
    assert (names([event]), event.clock.breached_at) == ([told], None)
    assert event.clock.outcome == ("met" if told == "met" else "pending")


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (12.0, "resumed"),
        (fact("pause", 12, "agreed-date"), "paused"),
        (fact("stop", 12), "stopped"),
        (fact("cancel", 12), "cancelled"),
    ],
    ids=["running", "paused", "stopped", "cancelled"],
)
def test_a_breach_that_lies_elsewhere_than_was_told_is_told_where_nothing_else_is_different(
    last: Step, told: str
) -> None:
    """The ticket was resolved before it was held: as much as it ran less, it ran on sooner once it was reopened."""
    life = (START, fact("pause", 6, "waiting-for-client"), fact("reopen", 8), fact("resume", 10))
    host = host_that_heard(*life, last, terms=resolution(5, PAUSING))
    before = host.published()[-1].clock
    (event,) = host.hear(RESOLVED, 13)
    assert (before.breached_at, event.clock.breached_at, names([event])) == (at(5), at(9), [told])
    assert remaining(before, at(20)) == remaining(event.clock, at(20))


def test_another_reason_to_pause_is_told_although_nothing_else_is_different() -> None:
    host = host_that_heard(START, HELD)
    (event,) = host.hear(fact("pause", 5, "agreed-date"), 5)
    assert (names([event]), event.clock.pause_reason, event.clock.elapsed_seconds) == (["paused"], "agreed-date", 3)


def test_a_breach_that_comes_back_after_it_was_taken_back_is_told_with_its_clock() -> None:
    """The breach itself has left already, under the same id; the clock that it belongs to has not."""
    host = host_that_heard(START, 12.0, fact("pause", 2.5, "waiting-for-client"), fact("resume", 2.8))
    assert (host.stored.breached_at, names(host.published())[-2:]) == (at(10), ["paused", "resumed"])
    assert host.published()[-1].clock.breached_at == at(10)


def test_a_breach_that_was_earlier_than_said_is_told_with_the_end_again() -> None:
    host = host_that_heard(START, HELD, fact("stop", 20))
    assert names(host.published()) == ["started", "paused", "met"]
    (breach, end) = host.hear(RELEASED, 21)
    assert (names([breach, end]), breach.clock.breached_at) == (["breached", "stopped"], at(13))
    (end,) = host.hear(fact("resume", 4), 22)
    assert (names([end]), end.clock.breached_at, end.clock.elapsed_seconds) == (["stopped"], at(11), 19)


def test_the_same_hold_told_late_of_an_earlier_instant_takes_nothing_back() -> None:
    host = host_that_heard(START, fact("pause", 12, "development"))
    assert names(host.published()) == ["started", "warned", "warned", "warned", "breached"]
    assert host.hear(fact("pause", 3, "development"), 13) == []
    assert host.stored.breached_at == at(10)


@pytest.mark.parametrize("held", [(), (HELD,)], ids=["running", "paused"])
def test_what_is_cancelled_has_no_alarm_and_warns_nobody_any_more(held: Sequence[Fact]) -> None:
    host = host_that_heard(START, *held)
    generation = host.clock.generation
    (event,) = host.hear(fact("cancel", 9.5), 9.5)
    assert (names([event]), event.clock.course, event.clock.outcome) == (["cancelled"], "cancelled", "pending")
    assert (host.clock.alarm(CALENDARS), host.clock.to_arm) == (None, None)
    # The alarm that is set is void from now on; that of a paused clock was before.
    assert host.clock.generation == generation + (0 if held else 1)
    assert host.look(1000) == []


def test_a_breach_stands_when_its_ticket_is_cancelled_and_is_told_where_no_timer_saw_it() -> None:
    seen = host_that_heard(START, 12.0, fact("cancel", 20))
    unseen = host_that_heard(START, fact("cancel", 20))
    assert names(seen.published())[-2:] == names(unseen.published())[-2:] == ["breached", "cancelled"]
    for host in (seen, unseen):
        state = host.published()[-1].clock
        assert (state.course, state.outcome, state.breached_at) == ("cancelled", "breached", at(10))


def test_of_a_clock_that_was_stopped_a_cancellation_tells_nothing() -> None:
    host = host_that_heard(START, RESOLVED)
    assert host.hear(fact("cancel", 6), 6) == []
    assert host.stored.course == "stopped"


def test_a_cancellation_that_was_before_the_end_that_was_told_replaces_it() -> None:
    host = host_that_heard(START, RESOLVED)
    (event,) = host.hear(fact("cancel", 2), 6)
    assert (names([event]), event.clock.elapsed_seconds, event.clock.since) == (["cancelled"], 2, at(2))


def test_a_reopened_clock_warns_of_what_is_still_ahead_and_ends_again() -> None:
    host = host_that_heard(START, fact("stop", 6), REOPENED)
    resumed = host.published()[-1].clock
    assert (resumed.since, resumed.elapsed_seconds, resumed.due_at) == (at(50), 6, at(54))
    assert (resumed.outcome, resumed.warned_as) == ("pending", "50%")
    assert host.clock.alarm(CALENDARS) == at(52)
    assert [event.clock.warned_as for event in host.look(52)] == ["75%"]
    (met,) = host.hear(fact("stop", 53), 53)
    assert (names([met]), met.clock.outcome, met.clock.elapsed_seconds) == (["met"], "met", 9)
    assert host.clock.alarm(CALENDARS) is None


def test_reopening_says_nothing_of_the_response() -> None:
    host = host_that_heard(START, RESOLVED, terms=response(10))
    assert host.hear(REOPENED, 50) == []
    assert (host.stored.course, host.clock.alarm(CALENDARS)) == ("stopped", None)
