"""What is told of a clock has one id, whoever noticed it, in whatever order, and also in a state that was restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import Cause
from shared.contracts.sla import Threshold
from sla import commands
from sla.domain.clock import Fact, FactKind, Terms, share
from sla.domain.ticket_clock import TicketClock

ZERO = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
# Two of the thresholds lie on the same second: they are two facts.
THRESHOLDS = (share(50, 12), share(75, 12), Threshold(seconds=9, said_as="3s before"))
TERMS = Terms("resolution", 12, frozenset({"waiting-for-client"}), THRESHOLDS)
# After this every clock that runs has run out, whatever it was held for.
END = 200.0

BY_TIME = ("desk.sla-clock.warned.v1", "desk.sla-clock.breached.v1")

Passing = float
Step = Fact | Passing


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def cause(seconds: float, fact: Fact | None) -> Cause:
    return Cause(
        actor="system:sla",
        occurred_at=at(seconds) if fact is None else fact.occurred_at,
        recorded_at=at(seconds),
        correlation_id="r",
        causation_id=None if fact is None else str(fact.fact_id),
    )


@dataclass
class Host:
    """What one database knows of a clock, and what it has told by the ids of the events."""

    clock: TicketClock
    heard: list[Fact] = field(default_factory=list)
    told: list[tuple[UUID, tuple[Any, ...]]] = field(default_factory=list)

    def dumped(self) -> Host:
        """The same, as of now."""
        return Host(replace(self.clock), list(self.heard), list(self.told))

    def take(self, step: Step, now: float) -> None:
        """A fact that is heard now, or the timers as they find the clock now."""
        fact = step if isinstance(step, Fact) else None
        if fact is not None:
            self.heard.append(fact)
        happened = self.clock.pass_time(at(now)) if fact is None else self.clock.refold(self.heard, at(now))
        sealed = commands._sealed([(self.clock, cause(now, fact), happened)], by_time=fact is None)
        self.told += [(one.id, said(one.data)) for one in sealed]


def said(event: Any) -> tuple[Any, ...]:
    """What an event states as a fact: not how late that was noticed, nor what a warning expected of the future."""
    hidden = {"late_by_seconds", *(("due_at",) if event.type == "desk.sla-clock.warned.v1" else ())}
    return (event.type, event.model_dump_json(exclude=hidden))


def host() -> Host:
    given: dict[str, Any] = {"client_id": "acme", "contract_id": None, "contract_version": 0}
    return Host(
        TicketClock(id=UUID(int=7), ticket_id=UUID(int=8), terms=TERMS, origin="live", correlation_id="r", **given)
    )


def facts_of(steps: Sequence[tuple[FactKind, float]]) -> list[Fact]:
    """A start at zero, and each further fact so many seconds after the one before it."""
    facts, seconds = [Fact(UUID(int=1), FactKind.START, ZERO, 1)], 0.0
    for number, (kind, gap) in enumerate(steps, start=2):
        seconds += gap
        reason = "waiting-for-client" if kind is FactKind.PAUSE else None
        facts.append(Fact(UUID(int=number), kind, at(seconds), number, "resolution", reason))  # type: ignore[arg-type]
    return facts


def seconds_of(fact: Fact) -> float:
    return (fact.occurred_at - ZERO).total_seconds()


_gaps = st.one_of(st.integers(1, 15).map(float), st.floats(0.01, 15).map(lambda gap: round(gap, 3)))
_instants = st.just(0.0) | st.integers(0, 40).map(float)
_lives = st.lists(st.tuples(st.sampled_from([FactKind.PAUSE, FactKind.RESUME]), _gaps), max_size=7).map(facts_of)
_lives_with_ends = st.lists(
    st.tuples(st.sampled_from([FactKind.PAUSE, FactKind.RESUME, FactKind.STOP, FactKind.REOPEN]), _gaps), max_size=7
).map(facts_of)


def live(facts: Sequence[Fact]) -> tuple[Host, list[Host]]:
    """Everything is heard when it happens and every timer fires in time; also each state on the way."""
    running, dumps, second = host(), [], 0
    for fact in facts:
        while second < seconds_of(fact):
            running.take(second + 0.001, min(second + 0.001, seconds_of(fact)))
            second += 1
        running.take(fact, seconds_of(fact))
        dumps.append(running.dumped())
    while second < END:
        running.take(second + 0.001, second + 0.001)
        dumps.append(running.dumped())
        second += 1
    return running, dumps


def restored(dump: Host, facts: Sequence[Fact]) -> Host:
    """The dump comes back at the end of time, hears what it missed, and then its timers look."""
    late = dump.dumped()
    for fact in facts[len(late.heard) :]:
        late.take(fact, END)
    late.take(END, END)
    return late


@given(_lives, st.data())
def test_an_older_state_tells_the_same_events_under_the_same_ids(facts: list[Fact], data: st.DataObject) -> None:
    running, dumps = live(facts)
    again = restored(data.draw(st.sampled_from(dumps)), facts)
    assert dict(again.told) == dict(running.told)
    assert len(again.told) == len(running.told)


@given(_lives_with_ends, st.data())
def test_an_older_state_tells_nothing_new_of_a_clock_that_ended(facts: list[Fact], data: st.DataObject) -> None:
    """Nobody is warned any more of what has ended meanwhile: some of what was told is not told again."""
    running, dumps = live(facts)
    again = restored(data.draw(st.sampled_from(dumps)), facts)
    assert dict(again.told).items() <= dict(running.told).items()


@given(_lives_with_ends | _lives_with_ends.flatmap(st.permutations), st.data())
def test_no_fact_has_two_ids_and_no_id_two_facts_in_any_interleaving(facts: list[Fact], data: st.DataObject) -> None:
    """Facts arrive in any order, timers look at any time, and so they do in a state that is restored at any point."""
    first = host()
    dumps = [first.dumped()]
    for fact in facts:
        now = max(data.draw(_instants), seconds_of(fact))
        if data.draw(st.booleans()):
            first.take(now, now)
        first.take(fact, now)
        dumps.append(first.dumped())
    first.take(END, END)
    again = data.draw(st.sampled_from(dumps)).dumped()
    for fact in facts[len(again.heard) :]:
        if data.draw(st.booleans()):
            again.take(END, END)
        again.take(fact, END)
    again.take(END, END)
    everything = {*first.told, *again.told}
    assert len({event_id for event_id, _ in everything}) == len(everything), "no id stands for two facts"
    by_time = [fact for _, fact in everything if fact[0] in BY_TIME]
    assert len(set(by_time)) == len(by_time), "nothing that time does has two ids"
