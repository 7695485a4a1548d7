"""Why a ticket has the contract that it has: every other one is told with what speaks against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract_choice import Choice, Standing, choose_contract
from shared.target_choice import Judged
from sla.domain.contract import Contract
from sla.domain.promise import Due, may_cost, other_rules, passed_over, told
from tests.sla.domain.promising import HOUR, START, TARGETS, rule
from tests.sla.domain.test_contract import CONTRACT

DAY = timedelta(days=1)
NOW = START + 200 * DAY


def agreed(name: str, begin: int = 0, end: int | None = None, *products: str, **changes: Any) -> Contract:
    """A contract of so many days after START."""
    valid_from = START + begin * DAY
    return replace(
        CONTRACT,
        id=name,
        effective_from=changes.get("effective_from", valid_from),
        valid_from=valid_from,
        valid_until=None if end is None else START + end * DAY,
        product_ids=products,
    )


def why(*versions: Contract, product: str | None = "kontar") -> dict[str, str]:
    choice = choose_contract(versions, product, NOW)
    return {one.contract.id: one.because for one in passed_over(versions, choice, product, NOW)}


def test_each_contract_that_was_not_chosen_says_why() -> None:
    chosen = agreed("chosen", 10, None, "kontar")
    others = [
        agreed("aplazado", 0, effective_from=NOW + DAY),
        agreed("futuro", 201, effective_from=START),
        agreed("general", 20),
        agreed("otro-producto", 20, None, "factela"),
        agreed("terminado", 0, 100),
        agreed("vencido", 0, 190),
        agreed("viejo", 5, None, "kontar"),
    ]
    assert why(chosen, *others) == {
        "aplazado": "not-agreed-yet",
        "futuro": "not-begun",
        "general": "another-fits-better",
        "otro-producto": "other-product",
        "terminado": "ended",
        "vencido": "another-in-force",
        "viejo": "another-is-later",
    }


def test_of_ended_contracts_the_later_one_is_chosen_and_the_other_says_so() -> None:
    assert why(agreed("sooner", 0, 180), agreed("later", 0, 190)) == {"sooner": "another-is-later"}


def test_a_contract_is_shown_in_the_version_that_held_and_one_of_later_in_its_first() -> None:
    old = agreed("doble", 0, None, "factela")
    versions = [old, replace(old, version=2, effective_from=NOW + DAY, product_ids=()), agreed("chosen", 1)]
    (passed,) = passed_over(versions, choose_contract(versions, "kontar", NOW), "kontar", NOW)
    assert (passed.contract.version, passed.because) == (1, "other-product")


contracts = st.builds(
    agreed,
    st.sampled_from("abcd"),
    st.integers(0, 250),
    st.none() | st.integers(251, 300) | st.integers(1, 200),
    st.sampled_from(["kontar", "factela"]),
)


@given(st.lists(contracts, max_size=6), st.sampled_from([None, "kontar", "otro"]))
def test_every_contract_is_either_the_one_or_told_why_it_is_not(versions: list[Contract], product: str | None) -> None:
    versions = [replace(one, version=number) for number, one in enumerate(versions, 1)]
    choice = choose_contract(versions, product, NOW)
    told = [one.contract.id for one in passed_over(versions, choice, product, NOW)]
    chosen = [choice.contract.id] if choice.contract else []
    assert sorted([*told, *chosen]) == sorted({one.id for one in versions})


@pytest.mark.parametrize(
    ("standing", "kind", "costs"),
    [("in-force", "incident", True), ("in-force", "question", False), ("vencido", "incident", False),
     ("none", "incident", False)],
)  # fmt: skip
def test_a_miss_may_cost_something_of_no_question_and_under_a_contract_in_force_only(
    standing: Standing, kind: str, costs: bool
) -> None:
    assert may_cost(standing, Judged(kind, 1, 1)) is costs


def test_the_rules_that_are_for_a_ticket_too_are_told_in_their_order() -> None:
    wide, narrow = rule("response", 5 * HOUR), rule("response", HOUR, product_ids=("kontar",))
    found = other_rules((wide, *TARGETS, narrow), Judged("incident", 1, 1, "kontar"))
    assert found == {"response": [TARGETS[0], wide], "resolution": []}


def test_the_choice_is_told_in_sentences() -> None:
    ended = agreed("acme-2026", 0, 190)
    due = Due(rule("response", 90 * 60, severities=(1,), priorities=(1, 2)), datetime(2026, 7, 20, 13, 30, tzinfo=UTC))
    choice = Choice(ended, "vencido")
    passed = passed_over([ended, agreed("otro", 0, None, "factela")], choice, "kontar", NOW)
    assert told(choice, passed, [due], UTC, "es") == [
        "Rige el contrato acme-2026 (oro, versión 1), vencido el vie 10/07/2026 03:00: hasta 60 días después valen sus "
        "plazos y su prioridad, sin penalidades.",
        "otro: es para otros productos.",
        "Primera respuesta: 1 h 30 min de comercial, vence el lun 20/07/2026 13:30; regla para S1 · prioridad P1, P2.",
    ]
    assert told(Choice(None, "none"), [], [due], UTC, "en") == [
        "No contract applies: the targets are those of Básico, without penalties.",
        "First response: 1 h 30 min of comercial, due Mon 20/07/2026 13:30; the rule is for S1 · priority P1, P2.",
    ]
