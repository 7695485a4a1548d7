"""What is told of a clock has one id, whoever noticed it, in whatever order, and also in a state that was restored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.sla import ClockEvent, Threshold
from sla.domain.clock import Fact, FactKind, Terms, share
from tests.sla.domain.hosts import Host, ticket_clock
from tests.sla.domain.lives import DAY_AND_NIGHT, ZERO, at, seconds_of

# Two of the thresholds lie on the same second: they are two facts.
THRESHOLDS = (share(50, 12), share(75, 12), Threshold(seconds=9, said_as="3s before"))
TERMS = Terms("resolution", 12, frozenset({"waiting-for-client"}), THRESHOLDS, DAY_AND_NIGHT)
# After this every clock that runs has run out, whatever it was held for.
END = 200.0

WARNED, BREACHED = "desk.sla-clock.warned.v1", "desk.sla-clock.breached.v1"
BY_TIME = (WARNED, BREACHED)
# What a running clock shows of the time that its host has judged.
KNOWN_BY_TIME = ("outcome", "breached_at", "warned_as")


def said(event: ClockEvent) -> tuple[str, str]:
    """What an event states as a fact: neither how late that was noticed, nor how far time had taken the clock by then.

    Whatever time did is told with the clock as its host knew it at that moment, so there it is left out as a whole.
    """
    document = event.model_dump(mode="json", exclude={"late_by_seconds"})
    state = document["clock"]
    if event.type in BY_TIME:
        document["clock"] = {"clock_id": state["clock_id"], "missed": event.type == BREACHED and state["breached_at"]}
    else:
        document["clock"] = {name: state[name] for name in state if name not in KNOWN_BY_TIME}
    return event.type, json.dumps(document)


def told_by(host: Host) -> dict[UUID, tuple[str, str]]:
    """What a host said under which id; the same id again says the same."""
    return {event_id: said(event) for event_id, event in host.told}


def facts_of(steps: Sequence[tuple[FactKind, float]]) -> list[Fact]:
    """A start at zero, and each further fact so many seconds after the one before it."""
    facts, seconds = [Fact(UUID(int=1), FactKind.START, ZERO, 1)], 0.0
    for number, (kind, gap) in enumerate(steps, start=2):
        seconds += gap
        reason = "waiting-for-client" if kind is FactKind.PAUSE else None
        facts.append(Fact(UUID(int=number), kind, at(seconds), number, "resolution", reason))
    return facts


_gaps = st.one_of(st.integers(1, 15).map(float), st.floats(0.01, 15).map(lambda gap: round(gap, 3)))
_instants = st.just(0.0) | st.integers(0, 40).map(float)
_lives = st.lists(st.tuples(st.sampled_from([FactKind.PAUSE, FactKind.RESUME]), _gaps), max_size=7).map(facts_of)
_lives_with_ends = st.lists(
    st.tuples(st.sampled_from([one for one in FactKind if one not in (FactKind.START, FactKind.SWITCH)]), _gaps),
    max_size=7,
).map(facts_of)


def live(facts: Sequence[Fact]) -> tuple[Host, list[Host]]:
    """Everything is heard when it happens and every timer fires in time; also each state on the way."""
    running, dumps, second = Host(ticket_clock(TERMS)), [], 0
    for fact in facts:
        while second < seconds_of(fact):
            running.look(min(second + 0.001, seconds_of(fact)))
            second += 1
        running.hear(fact, seconds_of(fact))
        dumps.append(running.dumped())
    while second < END:
        running.look(second + 0.001)
        dumps.append(running.dumped())
        second += 1
    return running, dumps


def restored(dump: Host, facts: Sequence[Fact]) -> Host:
    """The dump comes back at the end of time, hears what it missed, and then its timers look."""
    late = dump.dumped()
    for fact in facts[len(late.heard) :]:
        late.hear(fact, END)
    late.look(END)
    return late


@given(_lives, st.data())
def test_an_older_state_tells_the_same_events_under_the_same_ids(facts: list[Fact], data: st.DataObject) -> None:
    running, dumps = live(facts)
    again = restored(data.draw(st.sampled_from(dumps)), facts)
    assert told_by(again) == told_by(running)
    assert len(again.told) == len(running.told)


@given(_lives_with_ends, st.data())
def test_an_older_state_tells_nothing_new_of_a_clock_that_ended(facts: list[Fact], data: st.DataObject) -> None:
    """Nobody is warned any more of what has ended meanwhile: some of what was told is not told again."""
    running, dumps = live(facts)
    again = restored(data.draw(st.sampled_from(dumps)), facts)
    assert told_by(again).items() <= told_by(running).items()


@given(_lives_with_ends | _lives_with_ends.flatmap(st.permutations), st.data())
def test_no_fact_has_two_ids_and_no_id_two_facts_in_any_interleaving(facts: list[Fact], data: st.DataObject) -> None:
    """Facts arrive in any order, timers look at any time, and so they do in a state that is restored at any point."""
    first = Host(ticket_clock(TERMS))
    dumps = [first.dumped()]
    for fact in facts:
        now = max(data.draw(_instants), seconds_of(fact))
        if data.draw(st.booleans()):
            first.look(now)
        first.hear(fact, now)
        dumps.append(first.dumped())
    first.look(END)
    again = data.draw(st.sampled_from(dumps)).dumped()
    for fact in facts[len(again.heard) :]:
        if data.draw(st.booleans()):
            again.look(END)
        again.hear(fact, END)
    again.look(END)
    everything = {(event_id, said(event)) for event_id, event in (*first.told, *again.told)}
    assert len({event_id for event_id, _ in everything}) == len(everything), "no id stands for two facts"
    by_time = [fact for _, fact in everything if fact[0] in BY_TIME]
    assert len(set(by_time)) == len(by_time), "nothing that time does has two ids"
