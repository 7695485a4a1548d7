"""What a client has of a product, and which modules may be part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.inventory import Nature
from shared.errors import Conflict, Invalid


class UnknownReference(Invalid):
    """The record names something that the inventory does not hold."""

    code = "unknown-reference"
    title = "The record refers to something unknown"


class WrongNature(Invalid):
    """A standard module names a client, or a customised one does not."""

    code = "wrong-nature"
    title = "A customised module is made for exactly one client, a standard one for nobody"


class ModuleDoesNotFit(Invalid):
    """The module cannot be part of this installation."""

    code = "module-does-not-fit"
    title = "The module cannot be part of this installation"


class IdentityIsFixed(Conflict):
    """What a record is about never changes; only what is said of it does."""

    code = "identity-is-fixed"
    title = "This belongs to the identity of the record and cannot be changed"


@dataclass(frozen=True)
class Module:
    """A module of a product. A customised one was made for `client_id`, a standard one for nobody."""

    id: str
    product_id: str
    nature: Nature
    client_id: str | None


@dataclass(frozen=True)
class Placement:
    """Whose installation of what: fixed when the installation is first recorded."""

    client_id: str
    product_id: str


def check_nature(module: Module) -> None:
    """Raises WrongNature unless exactly the customised module names its client."""
    if module.nature == "customised" and module.client_id is None:
        raise WrongNature(f"module {module.id} is customised: say in client_id for which client it was made")
    if module.nature == "standard" and module.client_id is not None:
        raise WrongNature(f"module {module.id} is standard and made for nobody: leave client_id out")


def check_same_module(before: Module | None, after: Module) -> None:
    """Raises IdentityIsFixed when an existing module would become another one: installations rely on what it is."""
    if before is not None and before != after:
        raise IdentityIsFixed(
            f"module {after.id} is {_told(before)}: record one with another id instead of changing what this one is"
        )


def check_same_installation(id: str, before: Placement | None, after: Placement) -> None:
    """Raises IdentityIsFixed when an installation would move to another client or become another product."""
    if before is not None and before != after:
        raise IdentityIsFixed(
            f"installation {id} is {before.product_id} at {before.client_id}: retire it and record another one"
        )


def check_modules(id: str, placement: Placement, installed: Mapping[str, str], known: Mapping[str, Module]) -> None:
    """Whether these modules (id to version) may be part of the installation `id`.

    Raises UnknownReference for a module that nobody recorded, ModuleDoesNotFit for one of another product or one that
    was made for another client: a customised module is delivered to its client only.
    """
    for module_id in sorted(installed):
        module = known.get(module_id)
        if module is None:
            raise UnknownReference(f"installation {id}: there is no module {module_id}", reference=module_id)
        if module.product_id != placement.product_id:
            raise ModuleDoesNotFit(
                f"installation {id} is of {placement.product_id}, but module {module_id} belongs to {module.product_id}"
            )
        if module.nature == "customised" and module.client_id != placement.client_id:
            raise ModuleDoesNotFit(
                f"installation {id} is at {placement.client_id}, but module {module_id} was made for {module.client_id}"
            )


def _told(module: Module) -> str:
    made_for = f" made for {module.client_id}" if module.client_id else ""
    return f"a {module.nature} module of {module.product_id}{made_for}"
