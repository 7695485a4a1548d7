"""Of the rules that are for a ticket the most specific one holds; and the rules say something for every ticket."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.sla import TargetRule
from sla.domain.target import (
    CLOCKS,
    KINDS,
    PRIORITIES,
    SEVERITIES,
    IncompleteTargets,
    Judged,
    ResponseAfterResolution,
    UnknownCalendar,
    check_targets,
    is_for,
    matching,
    rule_for,
)
from tests.sla.domain.promising import HOUR, HOURS, NOW, TARGETS, rule

S2 = Judged("incident", 2, 2)
OF_KONTAR = Judged("incident", 2, 2, "kontar", "kontar-fe")


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
            assert rule_for(given, clock, ticket) is found[0]


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


def test_a_rule_that_names_the_module_comes_before_one_that_names_everything_else() -> None:
    narrow = rule("response", 1, product_ids=("kontar",), kinds=("incident",), severities=(2,), priorities=(2,))
    of_module = rule("response", 2, module_ids=("kontar-fe",))
    assert rule_for([narrow, of_module], "response", OF_KONTAR) is of_module
    assert rule_for([narrow, of_module], "response", Judged("incident", 2, 2, "kontar")) is narrow


def test_a_question_has_the_targets_that_are_said_of_questions() -> None:
    of_questions = rule("resolution", 40 * HOUR, kinds=("question",))
    assert rule_for([*TARGETS, of_questions], "resolution", Judged("question", 1, 1)) is of_questions
    assert rule_for([*TARGETS, of_questions], "resolution", Judged("incident", 1, 1)) is TARGETS[4]


def test_complete_targets_in_one_calendar_make_sense() -> None:
    check_targets(TARGETS, HOURS, NOW)


def test_what_no_rule_is_for_is_named_with_what_to_do() -> None:
    with pytest.raises(IncompleteTargets, match=r"resolution clock has no target for incident S3 P1.* and 4 more: add"):
        check_targets(tuple(one for one in TARGETS if one is not TARGETS[6]), HOURS, NOW)
    with pytest.raises(IncompleteTargets, match="response"):
        rule_for(TARGETS[4:], "response", S2)


def test_rules_for_single_products_leave_the_other_tickets_without_a_target() -> None:
    of_products = rule("response", HOUR, severities=(1,), product_ids=("kontar",))
    with pytest.raises(IncompleteTargets, match="name no product and no module"):
        check_targets((of_products, *TARGETS[1:]), HOURS, NOW)


def test_a_calendar_that_does_not_count_is_refused_and_those_that_count_are_named() -> None:
    with pytest.raises(UnknownCalendar, match="nocturno.*: 24x7, comercial"):
        check_targets((*TARGETS, rule("response", 60, "nocturno", severities=(1,))), HOURS, NOW)


def test_a_response_longer_than_the_resolution_is_refused_with_both_numbers() -> None:
    with pytest.raises(ResponseAfterResolution, match=r"question S1 P1 .* 36001 s of comercial .* 36000 s of"):
        check_targets((rule("response", 10 * HOUR + 1, kinds=("question",)), *TARGETS), HOURS, NOW)


def test_a_response_as_long_as_the_resolution_is_allowed() -> None:
    check_targets((rule("response", 10 * HOUR, kinds=("incident",), severities=(1,)), *TARGETS), HOURS, NOW)


def test_the_tickets_of_a_product_are_compared_too() -> None:
    quick = rule("resolution", HOUR - 1, severities=(1,), product_ids=("kontar", "factela"))
    with pytest.raises(ResponseAfterResolution, match=r"incident S1 P1 product factela"):
        check_targets((*TARGETS, quick), HOURS, NOW)
    of_module = rule("response", 11 * HOUR, severities=(1,), module_ids=("kontar-fe",))
    with pytest.raises(ResponseAfterResolution, match=r"module kontar-fe"):
        check_targets((*TARGETS, of_module), HOURS, NOW)


def test_a_response_in_office_hours_may_be_due_after_a_resolution_by_day_and_night() -> None:
    # On Friday evening four hours by day and night are over long before the office opens.
    by_night = rule("resolution", 4 * HOUR, "24x7", severities=(1,))
    with pytest.raises(ResponseAfterResolution, match=r"reported at 2026-.* would be resolved \d+ s earlier"):
        check_targets((by_night, *TARGETS[:4], *TARGETS[5:]), HOURS, NOW)


def test_a_long_enough_resolution_by_day_and_night_lies_behind_a_response_in_office_hours() -> None:
    # From Friday 17:00 one open second after an hour lies on Monday: two days and fifteen hours and a little.
    long = rule("resolution", 64 * HOUR, "24x7", severities=(1,))
    check_targets((long, *TARGETS[:4], *TARGETS[5:]), HOURS, NOW)
    short = rule("resolution", 64 * HOUR - 2, "24x7", severities=(1,))
    with pytest.raises(ResponseAfterResolution):
        check_targets((short, *TARGETS[:4], *TARGETS[5:]), HOURS, NOW)


@given(st.integers(1, 30 * HOUR), st.integers(1, 100 * HOUR), st.integers(NOW, NOW + 300 * 86_400))
def test_no_report_of_the_year_is_promised_a_resolution_before_its_response(
    response: int, resolution: int, reported: int
) -> None:
    targets = (rule("response", response), rule("resolution", resolution, "24x7"))
    try:
        check_targets(targets, HOURS, NOW)
    except ResponseAfterResolution:
        return
    first, then = HOURS["comercial"].add(reported, response), HOURS["24x7"].add(reported, resolution)
    assert first <= then
