"""Of the rules that are for a ticket the most specific one holds, in whichever order they are."""

from __future__ import annotations

import random
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.sla import ClockKind, TargetRule
from shared.contracts.tickets import Kind
from shared.target_choice import PRIORITIES, SEVERITIES, Judged, is_for, matching

CLOCKS: tuple[ClockKind, ...] = get_args(ClockKind)
KINDS: tuple[str, ...] = get_args(Kind)


def some(values: list[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """None of them, which is all of them, or a few."""
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


rules = st.builds(
    TargetRule,
    clock=st.sampled_from(CLOCKS),
    seconds=st.integers(1, 1000),
    calendar_id=st.just("comercial"),
    kinds=some(list(KINDS)),
    product_ids=some(["kontar", "factela"]),
    module_ids=some(["kontar-fe", "kontar-rh"]),
    severities=some(list(SEVERITIES)),
    priorities=some(list(PRIORITIES)),
)
tickets = st.builds(
    Judged,
    kind=st.sampled_from(KINDS),
    severity=st.sampled_from(SEVERITIES),
    priority=st.sampled_from(PRIORITIES),
    product_id=st.sampled_from([None, "kontar", "factela", "otro"]),
    module_id=st.sampled_from([None, "kontar-fe", "otro"]),
)


def named(one: TargetRule) -> list[int]:
    """What a rule names, as the digits of a number: module, product, kind, severity, priority."""
    return [int(bool(names)) for names in (one.module_ids, one.product_ids, one.kinds, one.severities, one.priorities)]


@given(st.lists(rules, max_size=12), tickets)
def test_the_rule_that_holds_is_the_first_of_the_most_specific_ones(given: list[TargetRule], ticket: Judged) -> None:
    for clock in CLOCKS:
        found = matching(given, clock, ticket)
        mine = [one for one in given if one.clock == clock and is_for(one, ticket)]
        assert sorted(map(id, found)) == sorted(map(id, mine))
        if mine:
            narrowest = max(named(one) for one in mine)
            assert found[0] is next(one for one in mine if named(one) == narrowest)


@given(st.lists(rules, max_size=12), tickets, st.integers())
def test_the_order_of_rules_of_different_width_makes_no_difference(
    given: list[TargetRule], ticket: Judged, seed: int
) -> None:
    first = {tuple(named(one)): one for one in reversed(given)}
    shuffled = list(first.values())
    random.Random(seed).shuffle(shuffled)
    for clock in CLOCKS:
        assert matching(shuffled, clock, ticket) == matching(first.values(), clock, ticket)


@given(rules, tickets)
def test_a_rule_is_for_everything_that_it_does_not_name(one: TargetRule, ticket: Judged) -> None:
    for field, value in (
        ("kinds", ticket.kind), ("product_ids", ticket.product_id), ("module_ids", ticket.module_id),
        ("severities", ticket.severity), ("priorities", ticket.priority),
    ):  # fmt: skip
        if is_for(one, ticket):
            assert not getattr(one, field) or value in getattr(one, field)
        assert is_for(one, ticket) <= is_for(one.model_copy(update={field: ()}), ticket)
