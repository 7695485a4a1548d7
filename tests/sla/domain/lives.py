"""Lives of tickets as their clocks see them: terms, facts by hand, and what draws any of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from shared.business_time.known import CalendarName, In, KnownCalendars
from shared.contracts.calendars import WrittenCalendar
from shared.contracts.sla import ClockKind, Threshold
from shared.contracts.tickets import HoldReason
from sla.domain.clock import Fact, FactKind, Terms, share

ZERO = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOLDS: tuple[HoldReason, ...] = ("waiting-for-client", "agreed-date", "third-party", "development")

DAY_AND_NIGHT = CalendarName("24x7", 1)


def calendars(**by_name: WrittenCalendar) -> KnownCalendars:
    """What a service knows: the calendar that never closes, and others by id, version 1, or by `id_2`."""
    known = KnownCalendars()
    whole = (("00:00", "24:00"),)
    week = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), whole)
    known.learn(DAY_AND_NIGHT, WrittenCalendar.model_validate({"timezone": "UTC", "weekly": week}))
    for name, written in by_name.items():
        calendar_id, _, version = name.partition("_")
        known.learn(CalendarName(calendar_id, int(version or 1)), written)
    return known


CALENDARS = calendars()
ALWAYS = CALENDARS.hours([In(ZERO, DAY_AND_NIGHT)])


def at(seconds: float) -> datetime:
    """An instant of a life."""
    return ZERO + timedelta(seconds=seconds)


def seconds_of(fact: Fact) -> float:
    """The same the other way round."""
    return (fact.occurred_at - ZERO).total_seconds()


def shares(target: int, *percents: int) -> tuple[Threshold, ...]:
    """Thresholds as contracts say them today."""
    return tuple(share(percent, target) for percent in percents)


def before(left: int, target: int) -> Threshold:
    """A threshold as contracts may say it one day."""
    return Threshold(seconds=target - left, said_as=f"{left}s before")


def resolution(target: int = 10, holds: Sequence[HoldReason] = ("waiting-for-client",)) -> Terms:
    """Terms of a resolution clock that only the client's own waiting pauses."""
    return Terms("resolution", target, frozenset(holds), shares(target, 50, 75, 90), DAY_AND_NIGHT)


def response(target: int = 10) -> Terms:
    """Terms of a response clock, which nothing pauses."""
    return Terms("response", target, frozenset(), shares(target, 50, 80), DAY_AND_NIGHT)


_counter = iter(range(1, 1_000_000))


def fact(kind: str, seconds: float, reason: HoldReason | None = None, sequence: int | None = None) -> Fact:
    """A fact with an id of its own, which concerns what a fact of its kind concerns."""
    number = next(_counter)
    concerns: ClockKind | None = "resolution" if kind in ("pause", "resume", "reopen") else None
    return Fact(UUID(int=number), FactKind(kind), at(seconds), sequence or number, concerns, reason)


# Holds come twice as often as each of the others: most of what is hard to tell comes of them.
KINDS = ("pause", "pause", "resume", "stop", "reopen", "cancel")


@st.composite
def lives(draw: st.DrawFn, seconds: int = 40, parts: int = 1, holds: Sequence[HoldReason] = HOLDS) -> list[Fact]:
    """A start and up to seven other facts within so many seconds, on such parts of them, in any order of arrival."""
    start = draw(st.integers(0, seconds * parts * 3 // 8))
    kinds, instants = st.sampled_from(KINDS), st.integers(0, seconds * parts)
    others = draw(st.lists(st.tuples(kinds, instants, st.sampled_from(holds)), max_size=7))
    facts = [fact("start", start / parts)]
    facts += [fact(kind, instant / parts, reason if kind == "pause" else None) for kind, instant, reason in others]
    return list(draw(st.permutations(facts)))


@st.composite
def terms_of_any_kind(draw: st.DrawFn) -> Terms:
    """Three shares of a target and perhaps some seconds before it; of a short one, several fall on the same second."""
    target = draw(st.integers(1, 30))
    ahead_of_it = draw(st.sets(st.integers(1, target - 1), max_size=2)) if target > 1 else set()
    thresholds = [*shares(target, 50, 75, 90), *(before(left, target) for left in ahead_of_it)]
    thresholds.sort(key=lambda threshold: threshold.seconds)
    return Terms("resolution", target, draw(st.frozensets(st.sampled_from(HOLDS))), tuple(thresholds), DAY_AND_NIGHT)
