"""Reads of the inventory: SQL to what callers see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, Table, and_, func, literal, select, tuple_
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from inventory import tables
from shared.contracts.inventory import InstalledModule, Nature, Tier, UnknownReason
from shared.contracts.personal import Personal
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.spelling import search_key

V = TypeVar("V", bound=BaseModel)


class _View(BaseModel):
    """What every record shows about itself."""

    id: str
    retired: bool
    version: int
    changed_at: datetime
    changed_by: str = Field(description="the actor of the last change")


class ClientView(_View):
    """A client."""

    name: str
    tax_id: str | None
    tier: Tier
    city: str | None
    contact: Personal[str] | None
    phone: Personal[str] | None


class ProductView(_View):
    """A product."""

    name: str


class ModuleView(_View):
    """A module of a product."""

    name: str
    product_id: str
    nature: Nature
    client_id: str | None


class InstallationView(_View):
    """What one client runs of one product, with its modules sorted by id."""

    client_id: str
    client_name: str
    product_id: str
    product_name: str
    product_version: str
    site: str | None
    modules: list[InstalledModule]


class ClientEnvironment(BaseModel):
    """Everything that a client runs now."""

    client_id: str
    client_name: str
    installations: list[InstallationView]


class FrozenEnvironment(BaseModel):
    """An environment as it was frozen on a ticket; unknown ones say why and what it could be."""

    ticket_id: UUID
    classification: int = Field(description="the version of the ticket that named what this was found by")
    client_id: str | None
    taken_at: datetime
    known: bool
    reason: UnknownReason | None = None
    candidates: list[str] = []
    installation_id: str | None = None
    product_id: str | None = None
    product_name: str | None = None
    product_version: str | None = None
    modules: list[InstalledModule] = []
    changed_at: datetime | None = Field(default=None, description="the age of the data when it was frozen")


class TicketEnvironment(FrozenEnvironment):
    """The latest of a ticket, by what was named, and those before."""

    earlier: list[FrozenEnvironment] = Field(description="the first one first")


_c, _p, _m, _i, _im = (
    tables.clients.c,
    tables.products.c,
    tables.modules.c,
    tables.installations.c,
    tables.installation_modules.c,
)
_RECORD = ("id", "retired", "version", "changed_at", "changed_by")


def _columns(table: Table, *names: str) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in (*_RECORD, *names)]


_CLIENTS = select(*_columns(tables.clients, "name", "tax_id", "tier", "city", "contact", "phone"))
_PRODUCTS = select(*_columns(tables.products, "name"))
_MODULES = select(*_columns(tables.modules, "name", "product_id", "nature", "client_id"))
_INSTALLED = (
    select(
        func.coalesce(
            func.jsonb_agg(
                aggregate_order_by(
                    func.jsonb_build_object(
                        "module_id", _m.id, "name", _m.name, "version", _im.version, "nature", _m.nature
                    ),
                    _m.id,
                )
            ),
            sql_cast(literal("[]"), JSONB),
            type_=JSONB,
        )
    )
    .select_from(tables.installation_modules.join(tables.modules, _m.id == _im.module_id))
    .where(_im.installation_id == _i.id)
    .correlate(tables.installations)
    .scalar_subquery()
)
_INSTALLATIONS = select(
    *_columns(tables.installations, "client_id", "product_id", "product_version", "site"),
    _c.name.label("client_name"),
    _p.name.label("product_name"),
    _INSTALLED.label("modules"),
).select_from(
    tables.installations.join(tables.clients, _c.id == _i.client_id).join(tables.products, _p.id == _i.product_id)
)


async def get_client(tx: Reader, id: str) -> ClientView | None:
    """One client."""
    return await _one(tx, _CLIENTS.where(_c.id == id), ClientView)


async def get_product(tx: Reader, id: str) -> ProductView | None:
    """One product."""
    return await _one(tx, _PRODUCTS.where(_p.id == id), ProductView)


async def get_module(tx: Reader, id: str) -> ModuleView | None:
    """One module."""
    return await _one(tx, _MODULES.where(_m.id == id), ModuleView)


async def get_installation(tx: Reader, id: str) -> InstallationView | None:
    """One installation."""
    return await _one(tx, _INSTALLATIONS.where(_i.id == id), InstallationView)


async def list_clients(
    tx: Reader, *, q: str | None, product_id: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[ClientView]:
    """Clients by name, `limit` + 1 of them; with `product_id` those that have an installation of it in use."""
    wanted = _named(_CLIENTS, tables.clients, q, after, limit)
    if product_id is not None:
        in_use = select(literal(1)).where(_i.client_id == _c.id, _i.product_id == product_id, ~_i.retired)
        wanted = wanted.where(in_use.exists())
    return await _all(tx, wanted, ClientView)


async def list_products(tx: Reader, *, q: str | None, after: tuple[Any, ...] | None, limit: int) -> list[ProductView]:
    """Products by name, `limit` + 1 of them."""
    return await _all(tx, _named(_PRODUCTS, tables.products, q, after, limit), ProductView)


async def list_modules(
    tx: Reader,
    *,
    q: str | None,
    product_id: str | None,
    client_id: str | None,
    customised: bool | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[ModuleView]:
    """Modules by name, `limit` + 1 of them; with `client_id` those that were made for this client."""
    wanted = _named(_MODULES, tables.modules, q, after, limit)
    if product_id is not None:
        wanted = wanted.where(_m.product_id == product_id)
    if client_id is not None:
        wanted = wanted.where(_m.client_id == client_id)
    if customised is not None:
        wanted = wanted.where(_m.nature == ("customised" if customised else "standard"))
    return await _all(tx, wanted, ModuleView)


async def list_installations(
    tx: Reader,
    *,
    q: str | None,
    client_id: str | None,
    product_id: str | None,
    module_id: str | None,
    customised: bool | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[InstallationView]:
    """Installations by id, `limit` + 1 of them; `q` looks in the client's name, `customised` for such a module."""
    wanted = _INSTALLATIONS.order_by(_i.id).limit(limit + 1)
    if after is not None:
        wanted = wanted.where(_i.id > after[0])
    if q:
        wanted = wanted.where(_is_named(_c.name_key, q))
    if client_id is not None:
        wanted = wanted.where(_i.client_id == client_id)
    if product_id is not None:
        wanted = wanted.where(_i.product_id == product_id)
    if module_id is not None:
        has_it = select(literal(1)).where(_im.installation_id == _i.id, _im.module_id == module_id)
        wanted = wanted.where(has_it.exists())
    if customised is not None:
        has_one = (
            select(literal(1))
            .select_from(tables.installation_modules.join(tables.modules, _m.id == _im.module_id))
            .where(and_(_im.installation_id == _i.id, _m.nature == "customised"))
            .exists()
        )
        wanted = wanted.where(has_one if customised else ~has_one)
    return await _all(tx, wanted, InstallationView)


async def get_client_environment(tx: Reader, client_id: str) -> ClientEnvironment | None:
    """What a client runs now, sorted by installation; None when there is no such client."""
    wanted = (
        select(
            _c.id.label("of_client"),
            _c.name.label("client_name"),
            _p.name.label("product_name"),
            *_columns(tables.installations, "client_id", "product_id", "product_version", "site"),
            _INSTALLED.label("modules"),
        )
        .select_from(
            tables.clients.outerjoin(tables.installations, and_(_i.client_id == _c.id, ~_i.retired)).outerjoin(
                tables.products, _p.id == _i.product_id
            )
        )
        .where(_c.id == client_id)
        .order_by(_i.id)
    )
    rows = await tx.fetch(wanted)
    if not rows:
        return None
    return ClientEnvironment(
        client_id=client_id,
        client_name=rows[0]["client_name"],
        installations=[InstallationView.model_validate(dict(row)) for row in rows if row["id"] is not None],
    )


_FROZEN = sql("""
    SELECT ticket_id, classification, client_id, snapshot, taken_at FROM inventory.environments
    WHERE ticket_id = :ticket_id ORDER BY classification
""")


async def get_ticket_environment(tx: Reader, ticket_id: UUID) -> TicketEnvironment | None:
    """The environments frozen on a ticket; None while there is none."""
    found = [
        row.snapshot
        | {name: row[name] for name in ("ticket_id", "classification", "client_id", "taken_at")}
        | {"known": "reason" not in row.snapshot}
        for row in await tx.fetch(_FROZEN, {"ticket_id": ticket_id})
    ]
    return TicketEnvironment.model_validate(found[-1] | {"earlier": found[:-1]}) if found else None


def _named(wanted: Select[Any], table: Table, q: str | None, after: tuple[Any, ...] | None, limit: int) -> Select[Any]:
    """The list of a table by name and id, so that equal names have an order too."""
    wanted = wanted.order_by(table.c.name_key, table.c.id).limit(limit + 1)
    if after is not None:
        wanted = wanted.where(tuple_(table.c.name_key, table.c.id) > tuple_(*(literal(value) for value in after)))
    if q:
        wanted = wanted.where(_is_named(table.c.name_key, q))
    return wanted


def _is_named(name_key: ColumnElement[str], q: str) -> ColumnElement[bool]:
    """Whether a name holds what is asked for, whatever spaces stand in either."""
    return func.strpos(func.replace(name_key, " ", ""), search_key(q)) > 0


async def _one(tx: Reader, wanted: Select[Any], view: type[V]) -> V | None:
    row = await tx.fetch_first(wanted)
    return None if row is None else view.model_validate(dict(row))


async def _all(tx: Reader, wanted: Select[Any], view: type[V]) -> list[V]:
    rows = await tx.fetch(wanted)
    return [view.model_validate(dict(row)) for row in rows]
