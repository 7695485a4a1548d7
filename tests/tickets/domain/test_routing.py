"""Which team takes a ticket: the most specific pattern, whatever stands beside it, and always exactly one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.tickets import Groups
from tickets.domain.routing import (
    EVERYTHING,
    Coverage,
    NoTeam,
    Pattern,
    PatternsWithoutQueue,
    TargetWithoutDefault,
    TwoTeamsCoverTheSame,
    check_defaults,
    cover,
    route,
)

TARGETS = ("call-centre", "analysts")
CLIENTS, PRODUCTS, MODULES = ("c1", "c2"), ("p1", "p2"), ("m1", "m2")
patterns = st.builds(
    Pattern,
    st.sampled_from([None, *CLIENTS]),
    st.sampled_from([None, *PRODUCTS]),
    st.sampled_from([None, *MODULES]),
)
# One team for each pattern of a target, as saving leaves them; the pattern of everything is among them.
covered = st.sets(st.tuples(st.sampled_from(TARGETS), patterns), max_size=25).map(
    lambda found: [
        Coverage(f"team-{number}", target, pattern)
        for number, (target, pattern) in enumerate(
            sorted(found | {(target, EVERYTHING) for target in TARGETS}, key=str)
        )
    ]
)
asked = st.builds(
    Groups,
    client_id=st.sampled_from([None, *CLIENTS, "c3"]),
    product_id=st.sampled_from([None, *PRODUCTS, "p3"]),
    module_id=st.sampled_from([None, *MODULES, "m3"]),
)


def by_hand(coverages: list[Coverage], target: str, groups: Groups) -> list[str]:
    """The teams in the order in which they would take it: each combination that could be meant, best first."""
    told = {(one.target, one.pattern): one.team_id for one in coverages}
    found = []
    for client, module, of_product in product((True, False), repeat=3):
        pattern = Pattern(
            groups.client_id if client else None,
            groups.product_id if of_product else None,
            groups.module_id if module else None,
        )
        says = (client and not groups.client_id, module and not groups.module_id, of_product and not groups.product_id)
        if not any(says) and (target, pattern) in told:
            found.append(told[target, pattern])
    return found


@given(covered, st.sampled_from(TARGETS), asked, st.randoms())
def test_the_most_specific_pattern_takes_it_in_whatever_order_they_stand(
    coverages: list[Coverage], target: str, groups: Groups, chance: object
) -> None:
    chance.shuffle(coverages)  # type: ignore[attr-defined]
    routed = route(coverages, target, groups)
    assert [routed.team_id, *(one.team_id for one in routed.instead_of)] == by_hand(coverages, target, groups)
    assert routed.team_id in routed.why()
    assert all(one.team_id in routed.why_not(one) for one in routed.instead_of)


def test_a_client_counts_before_a_module_and_a_module_before_a_product() -> None:
    coverages = [
        Coverage("todo", "analysts", EVERYTHING),
        Coverage("producto", "analysts", Pattern(product_id="p1")),
        Coverage("modulo", "analysts", Pattern(module_id="m1")),
        Coverage("cliente", "analysts", Pattern(client_id="c1")),
    ]
    groups = Groups(client_id="c1", product_id="p1", module_id="m1")
    routed = route(coverages, "analysts", groups)
    assert routed.why() == (
        "cliente covers client c1, which is the most specific: a client counts before a module, a module before a "
        "product"
    )
    assert [routed.why_not(one) for one in routed.instead_of] == [
        "modulo covers module m1, which says less than client c1",
        "producto covers product p1, which says less than client c1",
        "todo covers everything, which says less than client c1",
    ]
    assert "nobody covers anything of this in particular" in route(coverages[:1], "analysts", groups).why()


def test_where_nobody_covers_a_target_its_tickets_have_no_team() -> None:
    with pytest.raises(NoTeam, match="no team covers development: run `migrate`"):
        route(
            [Coverage("a", "analysts", EVERYTHING)],
            "development",
            Groups(client_id=None, product_id=None, module_id=None),
        )


@given(st.lists(patterns, max_size=8), st.lists(patterns, max_size=8))
def test_what_two_teams_cover_is_never_the_same(first: list[Pattern], second: list[Pattern]) -> None:
    if len({*first, *second}) < len(first) + len(second):
        with pytest.raises(TwoTeamsCoverTheSame) as refused:
            cover(cover((), "a", "analysts", first), "b", "analysts", second)
        assert refused.value.extra["team"] in ("a", "b")
    else:
        coverages = cover(cover((), "a", "analysts", first), "b", "analysts", second)
        assert [one.pattern for one in coverages] == [*first, *second]
        assert len({one.pattern for one in coverages}) == len(coverages)


def test_a_team_that_covers_something_else_leaves_what_it_covered_to_others() -> None:
    before = cover((), "a", "analysts", [EVERYTHING, Pattern(product_id="p1")])
    after = cover(before, "a", "analysts", [EVERYTHING])
    assert cover(after, "b", "analysts", [Pattern(product_id="p1")])[-1].team_id == "b"
    # Another target is another queue.
    assert len(cover(before, "b", "call-centre", [EVERYTHING])) == 3


def test_a_team_without_a_queue_covers_nothing() -> None:
    with pytest.raises(PatternsWithoutQueue, match="a has no target"):
        cover((), "a", None, [EVERYTHING])
    assert cover(cover((), "a", "analysts", [EVERYTHING]), "a", None, []) == ()


def test_each_target_keeps_a_team_that_covers_everything() -> None:
    coverages = cover((), "a", "analysts", [EVERYTHING])
    check_defaults(["analysts"], coverages)
    with pytest.raises(TargetWithoutDefault, match="nobody would cover everything for call-centre"):
        check_defaults(["analysts", "call-centre"], coverages)
