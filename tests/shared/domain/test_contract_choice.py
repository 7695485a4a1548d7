"""Which contract a ticket falls under, beside an oracle that asks in another way: whom does anything beat?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract_choice import choose_contract

DAY = timedelta(days=1)
REPORTED = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Agreed:
    """A contract that begins and ends so many days from the report; `end` None is no end. Agreed so many days from it,
    long before where nobody says."""

    id: str
    begin: int
    end: int | None
    product_ids: frozenset[str] = frozenset()
    version: int = 1
    agreed: int = -1000

    @property
    def effective_from(self) -> datetime:
        return REPORTED + self.agreed * DAY

    @property
    def valid_from(self) -> datetime:
        return REPORTED + self.begin * DAY

    @property
    def valid_until(self) -> datetime | None:
        return None if self.end is None else REPORTED + self.end * DAY


PRODUCTS = st.sampled_from(["kontar", "factela"])


@st.composite
def contracts(draw: st.DrawFn) -> list[Agreed]:
    """Up to six contracts in up to three versions, each of which says anything else."""
    made = []
    for number in range(draw(st.integers(0, 6))):
        for version in range(1, draw(st.integers(1, 3)) + 1):
            begin = draw(st.integers(-130, 3))
            end = draw(st.none() | st.integers(begin + 1, 4))
            agreed = draw(st.integers(-200, 5))
            made.append(Agreed(f"c{number}", begin, end, draw(st.frozensets(PRODUCTS)), version, agreed))
    return made


def beats(one: Agreed, other: Agreed, product: str | None) -> bool:
    """Whether of two that apply the first is taken, by the sentences of the model, one after the other."""
    holds, held = (each.end is None or each.end > 0 for each in (one, other))
    if holds != held:
        return holds
    if bool(one.product_ids) != bool(other.product_ids):
        names_it = bool(one.product_ids)
        return names_it if product is not None else not names_it
    if not holds and one.end != other.end:
        return (one.end or 0) > (other.end or 0)
    return one.begin > other.begin or (one.begin == other.begin and one.id > other.id)


@given(contracts(), st.none() | PRODUCTS, st.randoms(use_true_random=False))
def test_it_is_the_one_that_no_other_beats_in_whatever_order_they_come(
    made: list[Agreed], product: str | None, chance: object
) -> None:
    applying = [
        one
        for one in made
        if one.agreed <= 0
        and not any(o.id == one.id and o.version > one.version and o.agreed <= 0 for o in made)
        and one.begin <= 0
        and (one.end is None or one.end >= -60)
        and (not one.product_ids or product is None or product in one.product_ids)
    ]
    expected = next((one for one in applying if all(one is o or beats(one, o, product) for o in applying)), None)
    chance.shuffle(made)  # type: ignore[attr-defined]
    found = choose_contract(made, product, REPORTED)
    assert found.contract == expected
    if expected is None:
        assert found.standing == "none"
    else:
        assert found.standing == ("in-force" if expected.end is None or expected.end > 0 else "vencido")


@pytest.mark.parametrize(
    ("end", "standing"), [(None, "in-force"), (1, "in-force"), (0, "vencido"), (-60, "vencido"), (-61, "none")]
)
def test_an_end_is_followed_by_sixty_days_of_grace(end: int | None, standing: str) -> None:
    found = choose_contract([Agreed("c", -300, end)], "kontar", REPORTED)
    assert (found.standing, found.contract is None) == (standing, standing == "none")


def test_the_instant_of_the_beginning_counts_and_the_one_of_the_end_does_not() -> None:
    older, newer = Agreed("older", -300, 0), Agreed("newer", 0, None)
    assert choose_contract([older, newer], None, REPORTED).contract == newer
    before = choose_contract([older, newer], None, REPORTED - timedelta(microseconds=1))
    assert (before.contract, before.standing) == (older, "in-force")


def test_what_names_the_product_comes_before_what_covers_everything() -> None:
    general, named = Agreed("general", -1, None), Agreed("named", -300, None, frozenset({"kontar"}))
    assert choose_contract([general, named], "kontar", REPORTED).contract == named
    assert choose_contract([general, named], "factela", REPORTED).contract == general
    assert choose_contract([general, named], None, REPORTED).contract == general
    assert choose_contract([named], None, REPORTED).contract == named
    assert choose_contract([named], "factela", REPORTED).standing == "none"


def test_what_was_agreed_later_holds_from_its_instant_on() -> None:
    first, second = Agreed("c", -300, None), Agreed("c", -300, None, frozenset({"kontar"}), version=2, agreed=0)
    assert choose_contract([second, first], "factela", REPORTED).standing == "none"
    before = choose_contract([second, first], "factela", REPORTED - timedelta(microseconds=1))
    assert before.contract == first
    corrected = Agreed("c", -300, None, version=3, agreed=-10)
    assert choose_contract([first, second, corrected], "factela", REPORTED).contract == corrected
