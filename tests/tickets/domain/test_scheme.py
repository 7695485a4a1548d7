"""Severity from the impact and priority from the client, by rules that are data: the shipped ones, and any others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract_choice import Standing
from shared.contracts.tickets import ImpactAnswers
from tests.tickets.domain.shipped import SHIPPED
from tickets.domain.scheme import (
    BeginsInThePast,
    Conditions,
    Facts,
    MatrixMakesNoSense,
    Occasions,
    PriorityRule,
    PriorityShift,
    RulesMakeNoSense,
    Scheme,
    SchemeInForce,
    TwoBeginAtOnce,
    check_begin,
    check_sense,
)

NOW = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = 3600


def facts(standing: Standing = "in-force", tier: str = "basico", type: str | None = "basico", **more: Any) -> Facts:
    return Facts(tier=tier, kind="incident", standing=standing, contract_type=type, **more)


# The customer's table, typed again by hand: who is stopped, then what is lost from worst to nothing.
@pytest.mark.parametrize(
    ("operational", "severities"), [(1, "1122"), (2, "1223"), (3, "2334"), (4, "3344"), (None, "2334")]
)
def test_severity_follows_the_matrix_and_no_se_counts_as_three(operational: int | None, severities: str) -> None:
    def given_by(economic: int | None) -> int:
        return SHIPPED.severity_of(ImpactAnswers(operational=operational, economic=economic))

    assert "".join(str(given_by(economic)) for economic in (1, 2, 3, 4)) == severities
    assert given_by(None) == given_by(3)


@pytest.mark.parametrize(
    ("known", "priority", "rule"),
    [
        (facts(tier="platino", type="platino"), 1, "contrato-platino"),
        (facts(tier="platino", type="plata"), 1, "cliente-platino"),
        (facts(tier="oro", type="oro"), 2, "contrato-oro"),
        (facts(tier="oro", type="basico"), 2, "cliente-oro"),
        (facts(tier="plata", type="oro"), 2, "contrato-oro"),
        (facts(tier="plata", type="plata"), 3, "contrato-plata"),
        (facts(), 4, "basico"),
        (facts(type="oro", promised_s1_seconds=4 * HOUR), 1, "s1-en-cuatro-horas"),
        (facts(type="oro", promised_s1_seconds=4 * HOUR + 1), 2, "contrato-oro"),
        # One that ended lately still says how urgent its client is; one that ended long ago says nothing.
        (facts("vencido", tier="oro", type="platino"), 1, "contrato-platino"),
        (facts("none", tier="platino", type=None), 4, "sin-contrato"),
        # Codes are open: a tier or a type that this release does not know asks for nothing by itself.
        (facts(tier="diamante", type="plata"), 3, "contrato-plata"),
        (facts(tier="diamante", type="diamante", promised_s1_seconds=HOUR), 1, "s1-en-cuatro-horas"),
    ],
)
def test_the_shipped_rules_give_the_priority_of_the_table(known: Facts, priority: int, rule: str) -> None:
    found = SHIPPED.priority_of(known)
    assert (found.priority, found.rule.id, found.shifts) == (priority, rule, ())


@pytest.mark.parametrize(
    ("more", "priority", "shifts"),
    [
        ({"reopenings": 2, "breaches_in_month": 1}, 4, []),
        ({"reopenings": 3}, 3, ["tercera-reapertura"]),
        ({"go_live": True, "breaches_in_month": 2}, 2, ["salida-a-produccion", "segundo-incumplimiento"]),
        ({"go_live": True, "reopenings": 9, "breaches_in_month": 9}, 1, None),
    ],
)
def test_the_shipped_shifts_add_up(more: dict[str, Any], priority: int, shifts: list[str] | None) -> None:
    found = SHIPPED.priority_of(facts(**more))
    assert found.priority == priority
    assert shifts is None or [one.id for one in found.shifts] == shifts


def test_nothing_is_more_urgent_than_p1() -> None:
    assert SHIPPED.priority_of(facts(type="platino", go_live=True)).priority == 1


some_codes = st.none() | st.sets(st.sampled_from("abc"), min_size=1).map(lambda found: tuple(sorted(found)))
conditions = st.builds(
    Conditions,
    tier=some_codes,
    contract_type=some_codes,
    contract=st.none() | st.sampled_from([("in-force",), ("vencido", "none"), ("none",)]),
    promised_s1_at_most_seconds=st.none() | st.integers(1, 5),
)
occasions = st.builds(
    Occasions,
    go_live=st.none() | st.booleans(),
    reopenings_at_least=st.none() | st.integers(1, 4),
    breaches_in_month_at_least=st.none() | st.integers(1, 4),
)
any_facts = st.builds(
    Facts,
    tier=st.sampled_from("abcd"),
    kind=st.just("incident"),
    standing=st.sampled_from(["in-force", "vencido", "none"]),
    contract_type=st.none() | st.sampled_from("abcd"),
    promised_s1_seconds=st.none() | st.integers(1, 6),
    go_live=st.booleans(),
    reopenings=st.integers(0, 5),
    breaches_in_month=st.integers(0, 5),
)
rules = st.lists(st.tuples(conditions, st.integers(1, 4)), max_size=6)
shifts = st.lists(st.tuples(occasions, st.integers(-3, 3)), max_size=4)


# What each condition asks of which fact.
ASKS = {
    "tier": ("tier", "one of"),
    "kind": ("kind", "one of"),
    "contract": ("standing", "one of"),
    "contract_type": ("contract_type", "one of"),
    "promised_s1_at_most_seconds": ("promised_s1_seconds", "at most"),
    "go_live": ("go_live", "is"),
    "reopenings_at_least": ("reopenings", "at least"),
    "breaches_in_month_at_least": ("breaches_in_month", "at least"),
}


def fits(asked: dict[str, Any], known: dict[str, Any]) -> bool:
    """Whether facts, written out by name, are what is asked for, written out likewise."""
    held = {
        "one of": lambda found, wanted: found is not None and found in wanted,
        "at most": lambda found, wanted: found is not None and not found > wanted,
        "at least": lambda found, wanted: not found < wanted,
        "is": lambda found, wanted: found is wanted,
    }
    return all(wanted is None or held[ASKS[name][1]](known[ASKS[name][0]], wanted) for name, wanted in asked.items())


def written(thing: Any) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in thing.__slots__}


@given(rules, shifts, any_facts)
def test_the_first_rule_that_fits_decides_and_every_shift_that_fits_counts(
    made: list[tuple[Conditions, int]], moved: list[tuple[Occasions, int]], known: Facts
) -> None:
    scheme = replace(
        SHIPPED,
        rules=(
            *(PriorityRule(f"r{n}", "-", when, priority) for n, (when, priority) in enumerate(made)),
            PriorityRule("last", "-", Conditions(), 4),
        ),
        shifts=tuple(PriorityShift(f"s{n}", "-", when, by) for n, (when, by) in enumerate(moved)),
    )
    fitting = [(n, priority) for n, (when, priority) in enumerate(made) if fits(written(when), written(known))]
    number, priority = fitting[0] if fitting else ("last", 4)
    for when, by in moved:
        if fits(written(when), written(known)):
            priority += by
    found = scheme.priority_of(known)
    assert found.rule.id == ("last" if number == "last" else f"r{number}")
    assert found.priority == sorted((1, priority, 4))[1]


def scheme(id: str, begins: timedelta) -> Scheme:
    return replace(SHIPPED, id=id, valid_from=NOW + begins)


def test_the_shipped_scheme_makes_sense() -> None:
    check_sense(SHIPPED)


RULE, LAST = SHIPPED.rules[0], SHIPPED.rules[-1]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"matrix": ((1, 1, 2, 2), (1, 3, 2, 3), (2, 3, 3, 4), (3, 3, 4, 4))}, MatrixMakesNoSense, "row 2"),
        ({"matrix": ((2, 2, 2, 2), (1, 2, 2, 3), (2, 3, 3, 4), (3, 3, 4, 4))}, MatrixMakesNoSense, "column 1"),
        ({"rules": ()}, RulesMakeNoSense, "so that one fits every client"),
        ({"rules": (RULE,)}, RulesMakeNoSense, "let the last rule have no conditions"),
        ({"rules": (LAST, RULE, replace(LAST, id="otra"))}, RulesMakeNoSense, "basico always fits"),
        ({"rules": (RULE, RULE, LAST)}, RulesMakeNoSense, "sin-contrato are there twice"),
        ({"shifts": (replace(SHIPPED.shifts[0], by=0),)}, RulesMakeNoSense, "by how much"),
        ({"shifts": (replace(SHIPPED.shifts[0], when=Occasions()),)}, RulesMakeNoSense, "say when"),
    ],
)
def test_a_scheme_that_makes_no_sense_is_refused(changes: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        check_sense(replace(SHIPPED, **changes))


def test_a_scheme_may_be_changed_until_it_is_in_force_and_never_after() -> None:
    planned = scheme("verano", DAY)
    check_begin(planned, None, [SHIPPED], NOW)
    check_begin(replace(planned, valid_from=NOW + 2 * DAY), planned, [SHIPPED], NOW)
    with pytest.raises(SchemeInForce, match="record another one"):
        check_begin(planned, scheme("verano", timedelta()), [SHIPPED], NOW)
    with pytest.raises(BeginsInThePast, match="after now"):
        check_begin(scheme("verano", timedelta()), None, [SHIPPED], NOW)
    with pytest.raises(TwoBeginAtOnce, match="otra begins at that instant"):
        check_begin(planned, None, [SHIPPED, scheme("otra", DAY)], NOW)
