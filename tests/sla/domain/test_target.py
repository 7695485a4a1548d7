"""Of the rules that are for a ticket the most specific one holds; and the rules say something for every ticket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.target_choice import Judged, matching
from sla.domain.target import (
    CLOCKS,
    IncompleteTargets,
    ResponseAfterResolution,
    TooManyToldApart,
    UnknownCalendar,
    check_targets,
    rule_for,
)
from tests.sla.domain.promising import HOUR, HOURS, NOW, TARGETS, rule

S2 = Judged("incident", 2, 2)
OF_KONTAR = Judged("incident", 2, 2, "kontar", "kontar-fe")


def test_the_rule_that_holds_is_the_first_that_is_for_a_ticket() -> None:
    several = [*TARGETS, rule("response", 1, kinds=("incident",)), rule("resolution", 2, product_ids=("kontar",))]
    for ticket in (S2, OF_KONTAR, Judged("question", 4, 1)):
        for clock in CLOCKS:
            assert rule_for(several, clock, ticket) is matching(several, clock, ticket)[0]


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


def test_products_that_the_same_rules_name_are_one_case_and_too_many_cases_are_refused() -> None:
    alike = rule("resolution", 9 * HOUR, severities=(1,), product_ids=tuple(f"p-{number}" for number in range(500)))
    check_targets((*TARGETS, alike), HOURS, NOW)
    apart = tuple(rule("resolution", 9 * HOUR, product_ids=(f"p-{number}",)) for number in range(400))
    with pytest.raises(TooManyToldApart, match="400 groups of products"):
        check_targets((*TARGETS, *apart), HOURS, NOW)


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
