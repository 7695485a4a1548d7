"""The groups of a ticket (client, product, module) and whether what the caller named fits together."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.tickets import Groups
from shared.errors import Invalid
from tickets.domain.catalogue import Category
from tickets.domain.contract import KnownContract


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller could say; None is "no sé"."""

    client_id: str | None
    product_id: str | None
    module_id: str | None
    installation_id: str | None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client as the replica has it, with its contracts."""

    tier: str
    retired: bool
    contracts: tuple[KnownContract, ...]


@dataclass(frozen=True, slots=True)
class KnownModule:
    """A module as the replica has it; `client_id` when it was made for one client."""

    product_id: str
    client_id: str | None
    retired: bool


@dataclass(frozen=True, slots=True)
class KnownInstallation:
    """An installation as the replica has it."""

    client_id: str
    product_id: str
    retired: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the replicas say of everything that was asked; None where they know nothing of it."""

    client: KnownClient | None
    product_retired: bool | None
    module: KnownModule | None
    installation: KnownInstallation | None
    category: Category | None = None


class UnknownReference(Invalid):
    """An id that the reference data does not have, or has retired."""

    code = "unknown-reference"
    title = "The reference data does not know this"


class GroupsDoNotFit(Invalid):
    """Each id is known, together they make no sense."""

    code = "groups-do-not-fit"
    title = "Client, product, module and installation do not fit together"


def known_client(asked: Asked, known: Known) -> KnownClient:
    """The client that was named. Raises UnknownReference."""
    if known.client is None:
        raise UnknownReference(
            f"there is no client '{asked.client_id}': look it up with GET /v1/clients?q=…", field="client_id"
        )
    if known.client.retired:
        raise UnknownReference(f"the client '{asked.client_id}' is retired: open no tickets for it", field="client_id")
    return known.client


def resolve_groups(asked: Asked, known: Known) -> Groups:
    """The ticket's groups: what was asked, plus the product when the module or the installation settles it.

    A module and an installation each belong to one product, so that is not a guess. Raises UnknownReference for an id
    that is not known or retired, GroupsDoNotFit when ids contradict each other.
    """
    known_client(asked, known)
    return fitting_groups(asked, known)


def fitting_groups(asked: Asked, known: Known) -> Groups:
    """The same for a client that is the ticket's already, whatever became of it since."""
    product_id = asked.product_id
    if product_id is not None and known.product_retired is not False:
        raise _unknown("product", product_id)
    if asked.module_id is not None:
        product_id = _product_of_module(asked, known.module, product_id)
    if asked.installation_id is not None:
        product_id = _product_of_installation(asked, known.installation, product_id)
    return Groups(client_id=asked.client_id, product_id=product_id, module_id=asked.module_id)


def _unknown(noun: str, id: str | None) -> UnknownReference:
    return UnknownReference(
        f"there is no {noun} '{id}', or it is retired: correct {noun}_id, or leave it out when nobody can say it",
        field=f"{noun}_id",
    )


def _product_of_module(asked: Asked, module: KnownModule | None, product_id: str | None) -> str:
    if module is None or module.retired:
        raise _unknown("module", asked.module_id)
    if product_id is not None and module.product_id != product_id:
        raise GroupsDoNotFit(
            f"the module '{asked.module_id}' belongs to the product '{module.product_id}', not to '{product_id}'",
            field="module_id",
        )
    if module.client_id is not None and module.client_id != asked.client_id:
        raise GroupsDoNotFit(
            f"the module '{asked.module_id}' was made for another client: choose one of this client, or a standard one",
            field="module_id",
        )
    return module.product_id


def _product_of_installation(asked: Asked, installation: KnownInstallation | None, product_id: str | None) -> str:
    if installation is None or installation.retired:
        raise _unknown("installation", asked.installation_id)
    if installation.client_id != asked.client_id:
        raise GroupsDoNotFit(
            f"the installation '{asked.installation_id}' is not of this client: choose another or leave it out",
            field="installation_id",
        )
    if product_id is not None and installation.product_id != product_id:
        raise GroupsDoNotFit(
            f"the installation '{asked.installation_id}' runs '{installation.product_id}', not '{product_id}'",
            field="installation_id",
        )
    return installation.product_id
