"""Which installation a ticket is about: one that must be meant, or the reason why nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.environment import Installation, Resolved, Unknown, resolve

AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
PRODUCTS = ("kontar", "nominar", "mostrador")


def installation(id: str, product: str) -> Installation:
    return Installation(id, "arenales", product, product.title(), "1.0.0", None, (), AT)


def found_for(
    *, product_id: str | None, installation_id: str | None, installations: Sequence[Installation] | None
) -> Resolved | Unknown:
    """Of a client that was identified."""
    return resolve(
        client_id="arenales", product_id=product_id, installation_id=installation_id, installations=installations
    )


ONE = installation("arenales-kontar", "kontar")
TWO = installation("arenales-nominar", "nominar")
THREE = installation("arenales-kontar-rosario", "kontar")


def test_the_only_installation_of_a_client_needs_no_further_question() -> None:
    assert found_for(product_id=None, installation_id=None, installations=[ONE]) == Resolved(ONE)


def test_a_product_that_was_said_chooses_among_installations_of_different_products() -> None:
    assert found_for(product_id="nominar", installation_id=None, installations=[ONE, TWO]) == Resolved(TWO)


def test_several_installations_are_candidates_and_none_is_guessed() -> None:
    found = found_for(product_id="kontar", installation_id=None, installations=[THREE, TWO, ONE])
    assert found == Unknown("several-installations", ("arenales-kontar", "arenales-kontar-rosario"))


def test_several_products_and_none_said_is_unknown_with_all_candidates() -> None:
    found = found_for(product_id=None, installation_id=None, installations=[TWO, ONE])
    assert found == Unknown("several-installations", ("arenales-kontar", "arenales-nominar"))


def test_a_named_installation_counts_even_when_the_product_does_not_agree() -> None:
    assert found_for(product_id="nominar", installation_id=ONE.id, installations=[ONE, TWO]) == Resolved(ONE)


def test_a_named_installation_that_the_client_does_not_have_is_not_replaced_by_a_guess() -> None:
    found = found_for(product_id=None, installation_id="la-yapa-kontar", installations=[ONE])
    assert found == Unknown("installation-of-another-client", ("arenales-kontar",))


@pytest.mark.parametrize("product", [None, "kontar"])
def test_a_client_without_installations_has_no_environment(product: str | None) -> None:
    assert found_for(product_id=product, installation_id=None, installations=[]) == Unknown("no-installation")


def test_a_client_without_the_product_that_was_said_has_no_environment_for_it() -> None:
    assert found_for(product_id="nominar", installation_id=None, installations=[ONE]) == Unknown("no-installation")


def test_a_client_that_nobody_recorded_is_unknown_whatever_was_said() -> None:
    assert found_for(product_id="kontar", installation_id=ONE.id, installations=None) == Unknown("client-unknown")


@pytest.mark.parametrize("named", [None, ONE.id])
@pytest.mark.parametrize("installations", [None, [], [ONE]])
def test_of_a_client_that_nobody_could_identify_nothing_is_known_whatever_else_was_said(
    named: str | None, installations: list[Installation] | None
) -> None:
    found = resolve(client_id=None, product_id="kontar", installation_id=named, installations=installations)
    assert found == Unknown("client-not-identified")


@given(
    products=st.lists(st.sampled_from(PRODUCTS), max_size=5),
    said=st.none() | st.sampled_from(PRODUCTS),
    named=st.none() | st.integers(0, 6),
)
def test_what_is_resolved_is_always_the_only_one_that_can_be_meant(
    products: list[str], said: str | None, named: int | None
) -> None:
    installations = [installation(f"i-{place}", product) for place, product in enumerate(products)]
    name = None if named is None else f"i-{named}"
    found = found_for(product_id=said, installation_id=name, installations=installations)

    meant = [one for one in installations if one.id == name] if name else [
        one for one in installations if said in (None, one.product_id)
    ]  # fmt: skip
    if isinstance(found, Resolved):
        assert [found.installation] == meant
    else:
        assert len(meant) != 1
        assert list(found.candidates) == sorted(found.candidates)
        assert set(found.candidates) <= {one.id for one in installations}
        assert (found.reason == "several-installations") == (name is None and len(meant) > 1)
