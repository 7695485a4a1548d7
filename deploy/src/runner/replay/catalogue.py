"""What the system knows of clients and products, and where an incident of a log falls in it: always the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from runner.demo.desk import Desk
from runner.errors import RunnerError
from runner.replay.log import Incident

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Whose incident it is, and of what."""

    client_id: str
    product_id: str
    module_id: str | None


@dataclass(frozen=True)
class Catalogue:
    """Ids only, sorted: what is in use. `installed` holds the modules of a client's installations of a product."""

    clients: Sequence[str]
    products: Sequence[str]
    standard_modules: Mapping[str, Sequence[str]]
    installed: Mapping[tuple[str, str], Sequence[str]]

    def place(self, incident: Incident) -> Place:
        """Where the incident falls: its product and module by the log's product, its client by country and team.

        A client that runs the product is taken where there is one, since that is who would call.
        """
        product = pick(self.products, incident.product)
        users = sorted(client for client, used in self.installed if used == product) or self.clients
        client = pick(users, f"{incident.country.lower()} {incident.rows[0].team}")
        modules = self.installed.get((client, product)) or self.standard_modules.get(product)
        return Place(client, product, pick(modules, f"{incident.product} module") if modules else None)


def pick(choices: Sequence[T], key: str) -> T:
    """One of the choices by a hash that is the same on every machine and in every run."""
    return choices[crc32(key.encode()) % len(choices)]


async def read_catalogue(desk: Desk) -> Catalogue:
    """Reads it from the inventory. Raises RunnerError when there is nothing to open a ticket on."""
    clients = sorted([one["id"] async for one in desk.every("inventory", "/v1/clients") if not one["retired"]])
    products = sorted([one["id"] async for one in desk.every("inventory", "/v1/products") if not one["retired"]])
    if not clients or not products:
        raise RunnerError("The system has no clients or no products: load the demo data first (`desk up` does).")
    standard: dict[str, list[str]] = {product: [] for product in products}
    async for module in desk.every("inventory", "/v1/modules", customised="false"):
        if not module["retired"] and module["product_id"] in standard:
            standard[module["product_id"]].append(module["id"])
    installed: dict[tuple[str, str], set[str]] = {}
    async for one in desk.every("inventory", "/v1/installations"):
        if not one["retired"]:
            place = installed.setdefault((one["client_id"], one["product_id"]), set())
            place |= {module["module_id"] for module in one["modules"]}
    return Catalogue(
        clients=clients,
        products=products,
        standard_modules={product: sorted(modules) for product, modules in standard.items()},
        installed={place: sorted(modules) for place, modules in installed.items()},
    )
