"""The clock in business time: against the oracle that counts second by second, with calendars that close and change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.business_time.calendar import Calendar, Windows
from shared.business_time.index import Index
from shared.business_time.known import CalendarName, In
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import second
from shared.business_time.timeline import Timeline
from sla.domain.clock import Clock, Fact, FactKind, Folded, Terms, advance
from sla.domain.fold import fold
from tests.sla.domain.lives import ZERO, at, lives, resolution, seconds_of, terms_of_any_kind
from tests.sla.domain.test_clock import play, seen

HORIZON = 90
_OPEN = ((0, 86400),)
_NOON = 12 * 3600


@dataclass(frozen=True)
class Versions:
    """Versions 1, 2, … of one calendar: what each has open of the ninety seconds after ZERO; every other day whole."""

    opened: tuple[tuple[tuple[int, int], ...], ...]

    def hours(self, counted_in: Sequence[In]) -> OpenTime:
        return Timeline(
            [
                (None if place == 0 else second(one.from_at), self._index(one.calendar.version))
                for place, one in enumerate(counted_in)
            ]
        )

    def is_open(self, version: int, at: int) -> bool:
        """Whether a second after ZERO is open; nothing is for the rest of that day, everything from the next on."""
        return any(start <= at < end for start, end in self.opened[version - 1])

    def _index(self, version: int) -> Index:
        windows: Windows = tuple((_NOON + start, _NOON + end) for start, end in self.opened[version - 1])
        week = (_OPEN, _OPEN, _OPEN, _OPEN, _OPEN, _OPEN, _OPEN)
        return Index(Calendar("UTC", week, frozenset(), {ZERO.date(): windows}, {}))


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    """Some of the seconds, in windows that may touch."""
    edges = sorted(draw(st.sets(st.integers(0, HORIZON), max_size=8)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


def in_version(terms: Terms, version: int = 1) -> Terms:
    return replace(terms, calendar=CalendarName("comercial", version))


def switch(version: int, from_at: int, told_at: int | None = None) -> Fact:
    told = from_at if told_at is None else told_at
    return Fact(
        UUID(int=10**9 + version), FactKind.SWITCH, at(from_at), version, "resolution",
        calendar_version=version, told_at=at(told),
    )  # fmt: skip


def explained(terms: Terms, facts: Sequence[Fact], versions: Versions, until: int) -> Folded:
    found = fold(terms, facts, versions, at(until))
    assert found is not None
    return found


def seen_in(clock: Clock, versions: Versions, horizon: int) -> dict[str, object]:
    shown = seen(replace(clock, course="stopped"), horizon)
    return {
        **shown,
        "course": clock.course,
        "outcome": clock.outcome,
        "elapsed": clock.elapsed_seconds(versions.hours(clock.counted_in), at(horizon)),
    }


@given(terms_of_any_kind(), lives(), windows(), st.integers(0, 30))
def test_the_fold_agrees_with_counting_second_by_second_what_is_open(
    terms: Terms, facts: list[Fact], opened: tuple[tuple[int, int], ...], extra: int
) -> None:
    horizon = int(max(seconds_of(one) for one in facts)) + extra
    versions = Versions((opened,))
    found = explained(in_version(terms), facts, versions, horizon)
    assert seen_in(found.clock, versions, horizon) == play(
        terms, facts, horizon, lambda second: versions.is_open(1, second)
    )


@st.composite
def switched(draw: st.DrawFn, *, late: int) -> list[Fact]:
    """Up to three switches to versions 2, 3, …, none from before the one before, told up to so many seconds late."""
    froms = sorted(draw(st.lists(st.integers(0, 60), max_size=3)))
    told: list[int] = []
    for from_at in froms:
        told.append(max([from_at + draw(st.integers(-20, late)), *told]))
    return [switch(number + 2, from_at, told[number]) for number, from_at in enumerate(froms)]


def version_at(switches: Sequence[Fact], at_second: int) -> int:
    """The last version that holds at a second, as somebody reads a list of dates."""
    held = [one for one in switches if seconds_of(one) <= at_second]
    return max((one.calendar_version or 0 for one in held), default=1)


four_versions = st.tuples(windows(), windows(), windows(), windows()).map(Versions)


@given(terms_of_any_kind(), lives(), four_versions, switched(late=0), st.integers(0, 30), st.data())
def test_before_a_switch_the_old_calendar_counts_and_after_it_the_new(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact], extra: int, data: st.DataObject
) -> None:
    horizon = int(max(seconds_of(one) for one in facts)) + extra
    arrived = data.draw(st.permutations([*facts, *switches]))
    found = explained(in_version(terms), arrived, versions, horizon)
    assert seen_in(found.clock, versions, horizon) == play(
        terms, facts, horizon, lambda second: versions.is_open(version_at(switches, second), second)
    )


def _opened_by(versions: Versions, known: Sequence[Fact]) -> Callable[[int], bool]:
    return lambda second: versions.is_open(version_at(known, second), second)


def first_known(
    terms: Terms, facts: Sequence[Fact], versions: Versions, switches: Sequence[Fact], horizon: int
) -> tuple[int, int] | None:
    """Somebody who looks every second with what was known of the calendars then: the breach, and when it was dated."""
    for now in range(horizon + 1):
        known = [one for one in switches if one.told_at is not None and one.told_at <= at(now)]
        late = [one for one in known if one.told_at is not None and one.told_at > one.occurred_at]
        learnt = max((int((one.told_at - ZERO).total_seconds()) for one in late if one.told_at), default=0)
        breached = play(terms, facts, now, _opened_by(versions, known))["breached_at"]
        if isinstance(breached, datetime):
            lies = int((breached - ZERO).total_seconds())
            return lies, max(lies, learnt)
    return None


@given(terms_of_any_kind(), lives(), four_versions, switched(late=40))
def test_a_breach_that_only_a_late_switch_has_made_is_dated_when_that_was_told_and_one_that_there_was_stands(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact]
) -> None:
    horizon = 130
    clock = explained(in_version(terms), [*switches, *facts], versions, horizon).clock
    expected = first_known(terms, facts, versions, switches, horizon)
    if expected is None:
        assert (clock.breached_at, clock.would_have_been_at) == (None, None)
    else:
        lies, dated = expected
        assert (clock.breached_at, clock.would_have_been_at) == (at(dated), None if lies == dated else at(lies))


@given(terms_of_any_kind(), lives(), four_versions, switched(late=0), st.integers(0, 70))
def test_time_passing_on_a_clock_equals_folding_again(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact], until: int
) -> None:
    terms, told = in_version(terms), [*facts, *switches]
    first = explained(terms, told, versions, 0).clock
    hours = versions.hours(first.counted_in)
    assert advance(first, terms, hours, at(until)) == explained(terms, told, versions, until).clock


@given(terms_of_any_kind(), lives(), four_versions, switched(late=0))
def test_a_running_clock_is_missed_exactly_at_the_first_open_second_after_its_due(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact]
) -> None:
    clock = explained(in_version(terms), [*facts, *switches], versions, 0).clock
    hours = versions.hours(clock.counted_in)
    breaches_at = clock.breaches_at(hours)
    if breaches_at is None or clock.due_at is None:
        return
    assert clock.elapsed_seconds(hours, breaches_at) == terms.target_seconds
    assert advance(clock, terms, hours, breaches_at).breached_at is None
    assert advance(clock, terms, hours, breaches_at + timedelta(microseconds=1)).breached_at == breaches_at
    assert clock.elapsed_seconds(hours, breaches_at + timedelta(seconds=1)) == terms.target_seconds + 1
    assert clock.elapsed_seconds(hours, clock.due_at) in (terms.target_seconds, clock.counted_seconds)


def test_what_runs_out_exactly_at_closing_is_due_then_and_missed_at_the_next_opening() -> None:
    versions = Versions((((0, 10), (30, 60)),))
    clock = explained(in_version(resolution(10)), [_start(0)], versions, 20).clock
    assert (clock.due_at, clock.breached_at) == (at(10), None)
    assert clock.breaches_at(versions.hours(clock.counted_in)) == at(30)
    stopped = [_start(0), Fact(UUID(int=2), FactKind.STOP, at(30), 2)]
    assert explained(in_version(resolution(10)), stopped, versions, 30).clock.outcome == "met"
    late = [_start(0), Fact(UUID(int=2), FactKind.STOP, at(30.1), 2)]
    found = explained(in_version(resolution(10)), late, versions, 30).clock
    assert (found.outcome, found.breached_at, found.counted_seconds) == ("breached", at(30), 11)


def _start(seconds: int) -> Fact:
    return Fact(UUID(int=1), FactKind.START, at(seconds), 1)
