"""Whether client, product, module and installation fit together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickets.domain.grouping import (
    Asked,
    GroupsDoNotFit,
    Known,
    KnownClient,
    KnownInstallation,
    KnownModule,
    UnknownReference,
    resolve_groups,
)

CLIENT = KnownClient(tier="oro", retired=False, contracts=())
STANDARD = KnownModule(product_id="gestion", client_id=None, retired=False)
INSTALLATION = KnownInstallation(client_id="molinos", product_id="gestion", retired=False)
ALL = Known(client=CLIENT, product_retired=False, module=STANDARD, installation=INSTALLATION)


def asked(product: str | None = None, module: str | None = None, installation: str | None = None) -> Asked:
    return Asked("molinos", product, module, installation)


def test_a_client_alone_is_enough() -> None:
    groups = resolve_groups(asked(), Known(CLIENT, None, None, None))
    assert groups.model_dump() == {"client_id": "molinos", "product_id": None, "module_id": None}


def test_a_module_settles_the_product() -> None:
    groups = resolve_groups(asked(module="facturacion"), ALL)
    assert groups.model_dump() == {"client_id": "molinos", "product_id": "gestion", "module_id": "facturacion"}


def test_an_installation_settles_the_product() -> None:
    assert resolve_groups(asked(installation="molinos-gestion"), ALL).product_id == "gestion"


def test_a_module_made_for_this_client_is_accepted() -> None:
    own = replace(ALL, module=replace(STANDARD, client_id="molinos"))
    assert resolve_groups(asked("gestion", "facturacion"), own).module_id == "facturacion"


@pytest.mark.parametrize(
    ("what", "known", "field"),
    [
        (asked(), replace(ALL, client=None), "client_id"),
        (asked(), replace(ALL, client=replace(CLIENT, retired=True)), "client_id"),
        (asked(product="nada"), replace(ALL, product_retired=None), "product_id"),
        (asked(product="viejo"), replace(ALL, product_retired=True), "product_id"),
        (asked(module="nada"), replace(ALL, module=None), "module_id"),
        (asked(module="viejo"), replace(ALL, module=replace(STANDARD, retired=True)), "module_id"),
        (asked(installation="nada"), replace(ALL, installation=None), "installation_id"),
        (
            asked(installation="viejo"),
            replace(ALL, installation=replace(INSTALLATION, retired=True)),
            "installation_id",
        ),
    ],
)
def test_what_the_reference_data_does_not_know_is_refused(what: Asked, known: Known, field: str) -> None:
    with pytest.raises(UnknownReference) as refused:
        resolve_groups(what, known)
    assert refused.value.extra == {"field": field}


@pytest.mark.parametrize(
    ("what", "known", "message"),
    [
        (asked("sueldos", "facturacion"), ALL, "belongs to the product 'gestion', not to 'sueldos'"),
        (asked(module="a-medida"), replace(ALL, module=replace(STANDARD, client_id="otro")), "made for another client"),
        (
            asked(installation="x1"),
            replace(ALL, installation=replace(INSTALLATION, client_id="otro")),
            "not of this client",
        ),
        (asked("sueldos", installation="x1"), ALL, "runs 'gestion', not 'sueldos'"),
        (
            asked(module="facturacion", installation="x1"),
            replace(ALL, installation=replace(INSTALLATION, product_id="sueldos")),
            "runs 'sueldos', not 'gestion'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(what: Asked, known: Known, message: str) -> None:
    with pytest.raises(GroupsDoNotFit, match=message):
        resolve_groups(what, known)
