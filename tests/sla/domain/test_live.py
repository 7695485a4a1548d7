"""A clock that lived, whatever it heard when, is the one that all its facts add up to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sla.domain.clock import Fact, Terms
from sla.domain.fold import fold
from tests.sla.domain.hosts import ticket_clock
from tests.sla.domain.lives import ZERO, at, lives, terms_of_any_kind
from tests.sla.domain.test_clock_in_calendars import Versions, four_versions, in_version, switched


# What was once wrong of holds showed in one life of three hundred.
@settings(max_examples=500)
@given(terms_of_any_kind(), lives(), four_versions, switched(late=40), st.data())
def test_live_equals_refold_for_any_history_in_any_order_of_arrival(
    terms: Terms, facts: list[Fact], versions: Versions, switches: list[Fact], data: st.DataObject
) -> None:
    """Holds, ends, new beginnings and switches of the calendar, heard in any order and twice; between them alarms."""
    heard: list[Fact] = []
    clock, now = ticket_clock(in_version(terms)), 0.0
    for fact in data.draw(st.permutations([*facts, *switches])):
        # Nobody hears of a version before it was activated.
        told = 0.0 if fact.told_at is None else (fact.told_at - ZERO).total_seconds()
        now = max(now, told) + data.draw(st.integers(0, 20)) / 2
        if data.draw(st.booleans()):
            clock.pass_time(at(now), versions)
        for _ in range(data.draw(st.integers(1, 2))):
            heard.append(fact)
            clock.refold(heard, at(now), versions)
        if data.draw(st.booleans()):
            clock.pass_time(at(now), versions)
        folded = fold(clock.terms, heard, versions, clock.judged_until)
        assert clock.clock == (folded.clock if folded else None)
