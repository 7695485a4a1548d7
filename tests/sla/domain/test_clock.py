"""The clock against an oracle that counts second by second, and the decisions that a reader can check by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.sla import Threshold
from sla.domain.clock import Clock, Fact, FactKind, Folded, Terms, advance, reached, share
from sla.domain.fold import fold
from tests.sla.domain.lives import (
    ALWAYS,
    CALENDARS,
    DAY_AND_NIGHT,
    ZERO,
    at,
    fact,
    lives,
    resolution,
    response,
    terms_of_any_kind,
)

RANKS = ("start", "reopen", "resume", "retarget", "pause", "stop", "cancel")


def explained(terms: Terms, *facts: Fact, judged_until: datetime | None = None) -> Folded:
    found = fold(terms, facts, CALENDARS, judged_until)
    assert found is not None
    return found


def folded(terms: Terms, *facts: Fact, judged_until: datetime | None = None) -> Clock:
    return explained(terms, *facts, judged_until=judged_until).clock


# --- the oracle: plays the life of a ticket second by second and knows nothing of sums -------------------------------


def is_reached(said_as: str, elapsed: int, target: int) -> bool:
    """By what the contract says, whatever second that was made into."""
    number = int(said_as.removesuffix("%").removesuffix("s before"))
    return elapsed * 100 >= target * number if said_as.endswith("%") else target - elapsed <= number


def moved(terms: Terms, course: str, hold: str | None, by: Fact) -> tuple[str, str | None]:
    """Where a fact leads from one course and hold."""
    if course in ("stopped", "cancelled"):
        return ("running", None) if by.kind == "reopen" else (course, hold)
    match by.kind.value:
        case "stop":
            return ("stopped", None)
        case "cancel":
            return ("cancelled", None)
        case "pause":
            return ("paused" if by.reason in terms.pausing_holds else "running", by.reason)
        case "resume":
            return ("running", None)
        case _:
            return (course, hold)


def play(
    terms: Terms, facts: Sequence[Fact], horizon: int, is_open: Callable[[int], bool] = lambda _: True
) -> dict[str, object]:
    """Second by second: which facts hold when the second begins, does it count, is the target used up or exceeded."""
    start = min(int((one.occurred_at - ZERO).total_seconds()) for one in facts if one.kind == "start")
    later = [one for one in facts if one.kind != "start"]
    later.sort(key=lambda one: (one.occurred_at, RANKS.index(one.kind), one.sequence))
    course, hold = "running", None
    elapsed, breached, warned = 0, None, 0
    ahead = [threshold.said_as for threshold in terms.thresholds]
    last_count = None
    for second in range(start, horizon + 1):
        if last_count is not None:
            if elapsed == terms.target_seconds + 1 and breached is None:
                breached = last_count
            for said_as in [one for one in ahead if is_reached(one, elapsed, terms.target_seconds)]:
                ahead.remove(said_as)
                warned = elapsed
        for one in later:
            if max(start, int((one.occurred_at - ZERO).total_seconds())) != second:
                continue
            course, hold = moved(terms, course, hold, one)
        if course == "running" and second < horizon and is_open(second):
            elapsed, last_count = elapsed + 1, second
    return {
        "course": course,
        "outcome": "breached" if breached is not None else "met" if course == "stopped" else "pending",
        "hold": hold,
        "elapsed": elapsed,
        "breached_at": None if breached is None else at(breached),
        "warned": warned,
    }


def seen(clock: Clock, horizon: int) -> dict[str, object]:
    return {
        "course": clock.course,
        "outcome": clock.outcome,
        "hold": clock.hold,
        "elapsed": clock.elapsed_seconds(ALWAYS, at(horizon)),
        "breached_at": clock.breached_at,
        "warned": clock.warned_seconds,
    }


@given(terms_of_any_kind(), lives(), st.integers(0, 30))
def test_the_fold_agrees_with_counting_second_by_second(terms: Terms, facts: list[Fact], extra: int) -> None:
    horizon = max(int((one.occurred_at - ZERO).total_seconds()) for one in facts) + extra
    assert seen(folded(terms, *facts, judged_until=at(horizon)), horizon) == play(terms, facts, horizon)


@given(terms_of_any_kind(), lives(), st.data())
def test_any_order_and_any_repetition_fold_to_the_same_clock(
    terms: Terms, facts: list[Fact], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(facts))
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=4))
    assert fold(terms, [*repeated, *shuffled], CALENDARS) == fold(terms, facts, CALENDARS)


@given(terms_of_any_kind(), lives(), st.integers(0, 70))
def test_time_passing_on_a_clock_equals_folding_again(terms: Terms, facts: list[Fact], until: int) -> None:
    assert advance(folded(terms, *facts), terms, ALWAYS, at(until)) == folded(terms, *facts, judged_until=at(until))


@given(terms_of_any_kind(), lives(), st.integers(0, 30))
def test_the_intervals_cover_the_whole_life_and_add_up(terms: Terms, facts: list[Fact], extra: int) -> None:
    found = explained(terms, *facts)
    end = found.intervals[-1].from_at + timedelta(seconds=extra)
    edges = [found.clock.started_at, *(interval.until or end for interval in found.intervals)]
    assert [interval.from_at for interval in found.intervals] == edges[:-1]
    counted = sum(
        ((interval.until or end) - interval.from_at).total_seconds() for interval in found.intervals if interval.counted
    )
    assert counted == found.clock.elapsed_seconds(ALWAYS, end)


@given(terms_of_any_kind(), lives())
def test_a_running_clock_runs_out_exactly_at_its_due(terms: Terms, facts: list[Fact]) -> None:
    clock = folded(terms, *facts)
    if clock.course == "running" and clock.breached_at is None:
        assert clock.due_at is not None
        assert clock.elapsed_seconds(ALWAYS, clock.due_at) == terms.target_seconds
        assert advance(clock, terms, ALWAYS, clock.due_at).breached_at is None
        assert advance(clock, terms, ALWAYS, clock.due_at + timedelta(microseconds=1)).breached_at == clock.due_at


@given(terms_of_any_kind(), lives())
def test_thresholds_are_reached_in_ascending_order_and_each_once(terms: Terms, facts: list[Fact]) -> None:
    crossings = explained(terms, *facts, judged_until=at(200)).crossings
    told = [crossing.threshold for crossing in crossings]
    assert tuple(told) == terms.thresholds[: len(told)]
    assert [crossing.at for crossing in crossings] == sorted(crossing.at for crossing in crossings)


# --- decisions, by hand ----------------------------------------------------------------------------------------------


def test_without_its_start_there_is_no_clock() -> None:
    assert fold(resolution(), [fact("pause", 3, "waiting-for-client"), fact("stop", 9)], CALENDARS) is None


def test_a_clock_starts_when_the_client_reported() -> None:
    clock = folded(resolution(10), fact("start", 5))
    assert (clock.started_at, clock.due_at, clock.course) == (at(5), at(15), "running")


def test_a_stop_exactly_at_the_due_is_met() -> None:
    assert folded(resolution(10), fact("start", 0), fact("stop", 10)).breached_at is None


def test_a_stop_a_microsecond_after_the_due_is_a_breach_at_the_due() -> None:
    clock = folded(resolution(10), fact("start", 0), fact("stop", 10.000001))
    assert clock.breached_at == at(10)
    assert clock.counted_seconds == 11


def test_a_hold_that_the_contract_allows_pauses_and_keeps_what_is_left() -> None:
    held = folded(resolution(10), fact("start", 0), fact("pause", 4, "waiting-for-client"))
    assert (held.course, held.counted_seconds, held.due_at) == ("paused", 4, None)
    assert held.elapsed_seconds(ALWAYS, at(1000)) == 4
    released = folded(resolution(10), fact("start", 0), fact("pause", 4, "waiting-for-client"), fact("resume", 104))
    assert released.due_at == at(110)


def test_a_hold_for_development_does_not_pause_and_is_explained() -> None:
    found = explained(resolution(10), fact("start", 0), fact("pause", 4, "development"), fact("resume", 7))
    assert found.clock.due_at == at(10)
    assert [(one.counted, one.why, one.reason) for one in found.intervals] == [
        (True, "open", None),
        (True, "held", "development"),
        (True, "open", None),
    ]


def test_a_hold_that_does_not_pause_leaves_the_course_as_it_began() -> None:
    clock = folded(resolution(10), fact("start", 0), fact("pause", 4, "development"))
    assert (clock.course, clock.since, clock.counted_seconds, clock.hold) == ("running", at(0), 0, "development")
    life = [fact("start", 0), fact("stop", 2), fact("reopen", 20), fact("pause", 25, "development"), fact("resume", 26)]
    found = explained(resolution(10), *life)
    assert (found.by, found.clock.since, found.clock.due_at) == (FactKind.REOPEN, at(20), at(28))


def test_time_is_judged_up_to_the_last_fact_even_when_that_fact_makes_no_difference() -> None:
    """Or the same hold, told late of an earlier instant, would take back a breach that was none of its business."""
    terms, life = resolution(10), [fact("start", 0), fact("pause", 12, "development")]
    assert folded(terms, *life).breached_at == at(10)
    earlier = folded(terms, *life, fact("pause", 3, "development"))
    assert (earlier.breached_at, earlier.warned_seconds) == (at(10), 9)


def test_another_hold_takes_the_place_of_the_one_before() -> None:
    clock = folded(
        resolution(100),
        fact("start", 0),
        fact("pause", 10, "waiting-for-client"),
        fact("pause", 20, "development"),
        fact("pause", 30, "waiting-for-client"),
        fact("resume", 40),
    )
    assert clock.due_at == at(120)


def test_first_response_never_pauses_and_stops_at_the_resolution_when_nobody_responded() -> None:
    clock = folded(response(10), fact("start", 0), fact("pause", 2, "waiting-for-client"), fact("stop", 9))
    assert (clock.course, clock.counted_seconds, clock.breached_at) == ("stopped", 9, None)


def test_a_response_concerns_the_response_clock_alone() -> None:
    told = Fact(UUID(int=77), FactKind.STOP, at(3), 77, "response")
    assert folded(response(), fact("start", 0), told).course == "stopped"
    assert folded(resolution(), fact("start", 0), told).course == "running"


def test_only_the_first_response_counts_even_when_it_arrives_last() -> None:
    assert folded(response(10), fact("start", 0), fact("stop", 20), fact("stop", 5)).counted_seconds == 5


def test_a_release_and_a_hold_of_the_same_instant_leave_the_clock_paused() -> None:
    clock = folded(
        resolution(10),
        fact("start", 0),
        fact("pause", 2, "waiting-for-client", sequence=5),
        fact("pause", 6, "agreed-date", sequence=9),
        fact("resume", 6, sequence=8),
    )
    assert (clock.course, clock.hold) == ("running", "agreed-date")
    clock = folded(
        resolution(10, ("waiting-for-client", "agreed-date")),
        fact("start", 0),
        fact("resume", 6, sequence=9),
        fact("pause", 6, "agreed-date", sequence=8),
    )
    assert clock.course == "paused"


def test_reopening_continues_the_clock_and_the_resolved_time_does_not_count() -> None:
    found = explained(resolution(10), fact("start", 0), fact("stop", 4), fact("reopen", 50))
    assert found.clock.due_at == at(56)
    assert [(one.counted, one.why) for one in found.intervals] == [(True, "open"), (False, "resolved"), (True, "open")]


def test_a_ticket_that_is_resolved_again_counts_both_stretches_and_not_what_lies_between() -> None:
    life = [fact("start", 0), fact("stop", 4), fact("reopen", 50)]
    in_time = folded(resolution(10), *life, fact("stop", 56))
    assert (in_time.course, in_time.outcome, in_time.counted_seconds) == ("stopped", "met", 10)
    late = folded(resolution(10), *life, fact("stop", 57))
    assert (late.outcome, late.breached_at, late.counted_seconds) == ("breached", at(56), 11)


def test_reopening_concerns_the_resolution_and_leaves_the_response_stopped() -> None:
    life = [fact("start", 0), fact("stop", 4), fact("reopen", 50)]
    assert folded(response(10), *life) == folded(response(10), *life[:2])


def test_a_late_breach_stands_when_its_ticket_is_reopened() -> None:
    clock = folded(resolution(10), fact("start", 0), fact("stop", 12), fact("reopen", 50))
    assert (clock.course, clock.outcome, clock.breached_at, clock.due_at) == ("running", "breached", at(10), at(10))


def test_a_clock_that_runs_or_rests_is_cancelled_with_its_ticket() -> None:
    for held in ([], [fact("pause", 2, "waiting-for-client")]):
        found = explained(resolution(10), fact("start", 0), *held, fact("cancel", 4))
        assert (found.clock.course, found.clock.outcome, found.clock.since) == ("cancelled", "pending", at(4))
        assert (found.clock.counted_seconds, found.clock.hold) == (2 if held else 4, None)
        assert (found.intervals[-1].counted, found.intervals[-1].why) == (False, "cancelled")


def test_a_cancelled_clock_counts_nothing_more_and_reaches_nothing_more() -> None:
    terms = resolution(10)
    clock = folded(terms, fact("start", 0), fact("cancel", 4))
    assert (clock.elapsed_seconds(ALWAYS, at(1000)), reached(clock, terms, ALWAYS, at(1000))) == (4, ())
    assert advance(clock, terms, ALWAYS, at(1000)) == clock


def test_a_breach_that_there_was_stands_when_the_ticket_is_cancelled() -> None:
    clock = folded(resolution(10), fact("start", 0), fact("cancel", 10.5))
    assert (clock.course, clock.outcome, clock.breached_at) == ("cancelled", "breached", at(10))
    at_the_due = folded(resolution(10), fact("start", 0), fact("cancel", 10))
    assert (at_the_due.course, at_the_due.outcome) == ("cancelled", "pending")


def test_a_stopped_clock_stays_stopped_when_the_ticket_is_cancelled() -> None:
    stopped = [fact("start", 0), fact("stop", 4)]
    assert folded(resolution(10), *stopped, fact("cancel", 6)) == folded(resolution(10), *stopped)
    # In the same instant the stop comes first, whichever was told first.
    assert folded(resolution(10), fact("start", 0), fact("cancel", 4), fact("stop", 4)).course == "stopped"


def test_facts_before_the_start_count_as_if_they_came_with_it() -> None:
    early = folded(resolution(10), fact("pause", 1, "waiting-for-client"), fact("start", 5))
    assert (early.course, early.since, early.counted_seconds) == ("paused", at(5), 0)


def test_a_late_hold_takes_a_breach_back() -> None:
    life = [fact("start", 0), fact("resume", 30)]
    terms = resolution(10)
    assert folded(terms, *life, judged_until=at(20)).breached_at == at(10)
    late = fact("pause", 5, "waiting-for-client")
    clock = folded(terms, *life, late, judged_until=at(20))
    assert (clock.breached_at, clock.due_at, clock.warned_seconds) == (None, at(35), 5)


def test_thresholds_are_whole_seconds_rounded_up() -> None:
    terms = resolution(15)
    assert [(one.seconds, one.said_as) for one in terms.thresholds] == [(8, "50%"), (12, "75%"), (14, "90%")]
    clock = folded(terms, fact("start", 0))
    assert [(one.threshold.said_as, one.at) for one in reached(clock, terms, ALWAYS, at(12))] == [
        ("50%", at(8)),
        ("75%", at(12)),
    ]


def test_thresholds_of_the_same_second_are_reached_together_and_each_once() -> None:
    terms = resolution(2)
    running = folded(terms, fact("start", 0))
    later = advance(running, terms, ALWAYS, at(2))
    assert [(one.threshold.said_as, one.at) for one in reached(running, terms, ALWAYS, at(2))] == [
        ("50%", at(1)),
        ("75%", at(2)),
        ("90%", at(2)),
    ]
    assert (later.warned_seconds, reached(later, terms, ALWAYS, at(9))) == (2, ())


def test_a_threshold_may_be_said_as_a_time_before_the_target_as_well_as_a_share_of_it() -> None:
    half, soon = share(50, 7200), Threshold(seconds=7200 - 1800, said_as="30min before")
    terms = Terms("resolution", 7200, frozenset({"waiting-for-client"}), (half, soon), DAY_AND_NIGHT)
    found = explained(
        terms,
        fact("start", 0),
        fact("pause", 4000, "waiting-for-client"),
        fact("resume", 5000),
        judged_until=at(6400),
    )
    assert [(one.threshold, one.at) for one in found.crossings] == [(half, at(3600)), (soon, at(6400))]
    assert (found.clock.warned_seconds, found.clock.due_at) == (5400, at(8200))


def test_equal_states_come_from_halves_of_seconds_too() -> None:
    clock = folded(resolution(10), fact("start", 0.9), fact("pause", 3.1, "waiting-for-client"), fact("resume", 7.5))
    assert (clock.started_at, clock.counted_seconds, clock.since, clock.due_at) == (at(0), 4, at(8), at(14))
