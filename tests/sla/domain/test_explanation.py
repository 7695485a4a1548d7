"""A clock explained: the lines cover its life, those that count add up, and people read it in their own language."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared.business_time.seconds import begun_second, second
from sla.domain.clock import Fact, Terms
from sla.domain.explanation import Account, Language, Line, lines_of, told
from tests.sla.domain.lives import at, lives, seconds_of, terms_of_any_kind
from tests.sla.domain.test_clock_in_calendars import Versions, explained, four_versions, in_version, switched
from tests.sla.domain.test_hard_cases import BUENOS_AIRES, HOUR, Life, life, local


@given(terms_of_any_kind(), lives(), four_versions, switched(late=0), st.integers(0, 30))
def test_the_lines_cover_the_whole_life_and_those_that_count_add_up(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact], extra: int
) -> None:
    horizon = int(max(seconds_of(one) for one in facts)) + extra
    found = explained(in_version(terms), [*facts, *switches], versions, horizon)
    hours = versions.hours(found.clock.counted_in)
    lines = lines_of(found.intervals, hours, at(horizon))
    assert sum(line.seconds for line in lines if line.counted) == found.clock.elapsed_seconds(hours, at(horizon))
    edges = [second(found.clock.started_at), *(second(line.until) for line in lines)]
    assert [second(line.from_at) for line in lines] == edges[:-1]
    assert all(begun_second(line.until) - second(line.from_at) == line.seconds > 0 for line in lines)
    assert not any(one.why == two.why == "closed" for one, two in pairwise(lines)), "what is closed is one line"


def account(of: Life, until: str) -> tuple[list[Line], Account]:
    found = of.folded(until)
    hours, clock = of.known.hours(found.clock.counted_in), found.clock
    counted = clock.elapsed_seconds(hours, of.at(until))
    lines = lines_of(found.intervals, hours, of.at(until))
    return lines, Account(of.terms.target_seconds, counted, clock.due_at, clock.breached_at, clock.course)


def sentences(of: Life, until: str, language: Language) -> list[str]:
    lines, summed = account(of, until)
    return told(lines, summed, ZoneInfo(BUENOS_AIRES), language)


def test_over_a_weekend_it_says_what_was_closed_and_when_it_is_due() -> None:
    friday = life(start="2026-11-27T17:50", target=2 * HOUR)
    assert sentences(friday, "2026-11-30T09:20:30", "es") == [
        "vie 27/11/2026 17:50 – 18:00: en curso, cuenta 10 min.",
        "vie 27/11/2026 18:00 – lun 30/11/2026 09:00: fuera de horario, no cuenta.",
        "lun 30/11/2026 09:00 – 09:20:30: en curso, cuenta 20 min 30 s.",
        "Suma: 30 min 30 s de 2 h.",
        "Quedan 1 h 29 min 30 s.",
        "Vence el lun 30/11/2026 10:50.",
    ]
    assert sentences(friday, "2026-11-30T09:20:30", "en")[-2:] == ["1 h 29 min 30 s left.", "Due Mon 30/11/2026 10:50."]


def test_a_hold_says_for_whom_and_that_it_does_not_count() -> None:
    held = life(start="2026-11-30T09:00").told("pause", "2026-11-30T09:30")
    assert sentences(held, "2026-11-30T12:00", "es") == [
        "lun 30/11/2026 09:00 – 09:30: en curso, cuenta 30 min.",
        "lun 30/11/2026 09:30 – 12:00: en espera del cliente, no cuenta.",
        "Suma: 30 min de 1 h.",
        "Quedan 30 min.",
        "En pausa: vence cuando corra de nuevo.",
    ]


def test_a_breach_says_by_how_much_and_since_when() -> None:
    late = life(start="2026-11-27T17:00")
    assert sentences(late, "2026-11-28T12:00", "es")[-3:] == [
        "Suma: 1 h de 1 h.",
        "No queda nada.",
        "El plazo terminó el vie 27/11/2026 18:00.",
    ]
    assert sentences(late, "2026-11-30T09:10", "es")[-2:] == [
        "Excedido por 10 min.",
        "Incumplido desde el lun 30/11/2026 09:00.",
    ]
    assert sentences(late, "2026-11-30T09:10", "en")[-2:] == [
        "Exceeded by 10 min.",
        "Breached since Mon 30/11/2026 09:00.",
    ]


def test_the_lines_are_whole_seconds_of_the_zone_of_nobody() -> None:
    lines, _ = account(life(start="2026-11-27T17:50"), "2026-11-27T17:55")
    assert [(line.from_at, line.until) for line in lines] == [
        (local("2026-11-27T17:50"), datetime.fromisoformat("2026-11-27T20:55:00+00:00"))
    ]
