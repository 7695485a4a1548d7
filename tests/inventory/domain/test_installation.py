"""Which modules an installation may have, and what a record may never become."""

from __future__ import annotations

import pytest

from inventory.domain.installation import (
    IdentityIsFixed,
    Module,
    ModuleDoesNotFit,
    Placement,
    UnknownReference,
    WrongNature,
    check_modules,
    check_nature,
    check_same_installation,
    check_same_module,
)

STOCK = Module("kontar-stock", "kontar", "standard", None)
CORTE = Module("kontar-corte", "kontar", "customised", "arenales")
LEGAJOS = Module("nominar-legajos", "nominar", "standard", None)
KNOWN = {module.id: module for module in (STOCK, CORTE, LEGAJOS)}
AT_ARENALES = Placement("arenales", "kontar")


def test_standard_modules_and_the_clients_own_customised_ones_fit() -> None:
    check_modules("arenales-kontar", AT_ARENALES, {"kontar-stock": "7.4.2", "kontar-corte": "1.0.0"}, KNOWN)


def test_a_module_that_was_made_for_another_client_does_not_fit() -> None:
    with pytest.raises(ModuleDoesNotFit, match="at la-yapa, but module kontar-corte was made for arenales"):
        check_modules("la-yapa-kontar", Placement("la-yapa", "kontar"), {"kontar-corte": "1.0.0"}, KNOWN)


def test_a_module_of_another_product_does_not_fit() -> None:
    with pytest.raises(ModuleDoesNotFit, match="of kontar, but module nominar-legajos belongs to nominar"):
        check_modules("arenales-kontar", AT_ARENALES, {"nominar-legajos": "1"}, KNOWN)


def test_a_module_that_nobody_recorded_is_named_in_the_error() -> None:
    with pytest.raises(UnknownReference, match="there is no module kontar-magia") as refused:
        check_modules("arenales-kontar", AT_ARENALES, {"kontar-magia": "1"}, KNOWN)
    assert refused.value.extra == {"reference": "kontar-magia"}


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (Module("m", "kontar", "customised", None), "say in client_id for which client"),
        (Module("m", "kontar", "standard", "arenales"), "leave client_id out"),
    ],
)
def test_exactly_a_customised_module_names_its_client(module: Module, told: str) -> None:
    with pytest.raises(WrongNature, match=told):
        check_nature(module)


@pytest.mark.parametrize("module", [STOCK, CORTE])
def test_a_module_of_either_nature_is_right_when_its_client_agrees(module: Module) -> None:
    check_nature(module)
    check_same_module(None, module)
    check_same_module(module, module)


@pytest.mark.parametrize(
    "other",
    [
        Module("kontar-corte", "nominar", "customised", "arenales"),
        Module("kontar-corte", "kontar", "customised", "la-yapa"),
        Module("kontar-corte", "kontar", "standard", None),
    ],
)
def test_a_module_never_becomes_another_one(other: Module) -> None:
    with pytest.raises(IdentityIsFixed, match="a customised module of kontar made for arenales"):
        check_same_module(CORTE, other)


@pytest.mark.parametrize("other", [Placement("la-yapa", "kontar"), Placement("arenales", "nominar")])
def test_an_installation_moves_neither_to_another_client_nor_to_another_product(other: Placement) -> None:
    with pytest.raises(IdentityIsFixed, match="arenales-kontar is kontar at arenales"):
        check_same_installation("arenales-kontar", AT_ARENALES, other)
