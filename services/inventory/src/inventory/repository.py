"""Loads and stores the inventory by explicit statements, each for any number of records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from inventory.documents import ClientRecord, InstallationRecord, ModuleRecord, ProductRecord
from inventory.domain.environment import Installation
from inventory.domain.installation import Module, Placement
from shared.contracts.envelope import Cause
from shared.contracts.inventory import InstalledModule
from shared.db.statement import Statement, sql
from shared.db.transaction import Transaction
from shared.spelling import sort_key

# Each statement stores only the rows that differ and returns their ids with the version and the instant that they now
# have: an equal row keeps both. The instants of a row grow strictly, whatever the clocks of several hosts say; the row
# is locked where they are compared.
_STORE_CLIENTS = sql("""
    INSERT INTO inventory.clients AS c
        (id, name, name_key, tax_id, tier, city, contact, phone, retired, version, changed_at, changed_by)
    SELECT id, name, name_key, tax_id, tier, city, contact, phone, retired, 1, :at, :actor
    FROM jsonb_to_recordset(:rows) AS r(id text, name text, name_key text, tax_id text, tier text, city text,
                                        contact text, phone text, retired boolean)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, name_key = excluded.name_key, tax_id = excluded.tax_id, tier = excluded.tier,
        city = excluded.city, contact = excluded.contact, phone = excluded.phone, retired = excluded.retired,
        version = c.version + 1, changed_by = excluded.changed_by,
        changed_at = greatest(excluded.changed_at, c.changed_at + interval '1 microsecond')
    WHERE (c.name, c.tax_id, c.tier, c.city, c.contact, c.phone, c.retired) IS DISTINCT FROM
          (excluded.name, excluded.tax_id, excluded.tier, excluded.city, excluded.contact, excluded.phone,
           excluded.retired)
    RETURNING id, version, changed_at
""")

_STORE_PRODUCTS = sql("""
    INSERT INTO inventory.products AS p (id, name, name_key, retired, version, changed_at, changed_by)
    SELECT id, name, name_key, retired, 1, :at, :actor
    FROM jsonb_to_recordset(:rows) AS r(id text, name text, name_key text, retired boolean)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, name_key = excluded.name_key, retired = excluded.retired,
        version = p.version + 1, changed_by = excluded.changed_by,
        changed_at = greatest(excluded.changed_at, p.changed_at + interval '1 microsecond')
    WHERE (p.name, p.retired) IS DISTINCT FROM (excluded.name, excluded.retired)
    RETURNING id, version, changed_at
""")

# What a module is never changes here: the command has compared it under the lock of its product.
_STORE_MODULES = sql("""
    INSERT INTO inventory.modules AS m
        (id, name, name_key, product_id, nature, client_id, retired, version, changed_at, changed_by)
    SELECT id, name, name_key, product_id, nature, client_id, retired, 1, :at, :actor
    FROM jsonb_to_recordset(:rows) AS r(id text, name text, name_key text, product_id text, nature text,
                                        client_id text, retired boolean)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, name_key = excluded.name_key, retired = excluded.retired,
        version = m.version + 1, changed_by = excluded.changed_by,
        changed_at = greatest(excluded.changed_at, m.changed_at + interval '1 microsecond')
    WHERE (m.name, m.retired) IS DISTINCT FROM (excluded.name, excluded.retired)
    RETURNING id, version, changed_at
""")

_STORE_INSTALLATIONS = sql("""
    WITH wanted AS (
        SELECT * FROM jsonb_to_recordset(:rows) AS r(id text, client_id text, product_id text, product_version text,
                                                     site text, retired boolean, modules jsonb)
    ), differing AS (
        SELECT w.* FROM wanted w LEFT JOIN inventory.installations i ON i.id = w.id
        WHERE i.id IS NULL
           OR (i.product_version, i.site, i.retired) IS DISTINCT FROM (w.product_version, w.site, w.retired)
           OR w.modules IS DISTINCT FROM (
                SELECT coalesce(jsonb_object_agg(im.module_id, im.version), '{}')
                FROM inventory.installation_modules im WHERE im.installation_id = w.id)
        ORDER BY w.id
    ), removed AS (
        DELETE FROM inventory.installation_modules im USING differing d
        WHERE im.installation_id = d.id AND NOT d.modules ? im.module_id
    ), stored AS (
        INSERT INTO inventory.installations AS i
            (id, client_id, product_id, product_version, site, retired, version, changed_at, changed_by)
        SELECT id, client_id, product_id, product_version, site, retired, 1, :at, :actor FROM differing
        ON CONFLICT (id) DO UPDATE SET
            product_version = excluded.product_version, site = excluded.site, retired = excluded.retired,
            version = i.version + 1, changed_by = excluded.changed_by,
            changed_at = greatest(excluded.changed_at, i.changed_at + interval '1 microsecond')
        RETURNING id, version, changed_at
    ), installed AS (
        INSERT INTO inventory.installation_modules AS im (installation_id, module_id, version)
        SELECT d.id, m.key, m.value FROM differing d, jsonb_each_text(d.modules) m
        ON CONFLICT (installation_id, module_id) DO UPDATE SET version = excluded.version
        WHERE im.version <> excluded.version
    )
    SELECT id, version, changed_at FROM stored
""")


@dataclass(frozen=True, slots=True)
class Mark:
    """The version that a stored record now has, 1 for a new one, and since when. The row stays locked."""

    version: int
    changed_at: datetime


# The records that were stored, by id.
Stored = dict[str, Mark]

# Whoever records modules of a product, or installations of a client, does so one after the other.
_LOCK_PRODUCTS = sql("""
    SELECT id FROM inventory.products WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
""")
_LOCK_CLIENTS = sql("""
    SELECT id FROM inventory.clients WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
""")

_AROUND_MODULES = sql("""
    SELECT (SELECT coalesce(jsonb_agg(id), '[]') FROM inventory.clients WHERE id = ANY(:clients)) AS clients,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'product_id', product_id, 'nature', nature,
                                                         'client_id', client_id)), '[]')
            FROM inventory.modules WHERE id = ANY(:modules)) AS modules
""")

_AROUND_INSTALLATIONS = sql("""
    SELECT (SELECT coalesce(jsonb_agg(id), '[]') FROM inventory.products WHERE id = ANY(:products)) AS products,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'product_id', product_id, 'nature', nature,
                                                         'client_id', client_id)), '[]')
            FROM inventory.modules WHERE id = ANY(:modules)) AS modules,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'client_id', client_id,
                                                         'product_id', product_id)), '[]')
            FROM inventory.installations WHERE id = ANY(:installations)) AS installations
""")

_IN_USE = sql("""
    SELECT c.id AS client_id, i.id, i.product_id, p.name AS product_name, i.product_version, i.site, i.changed_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('module_id', m.id, 'name', m.name, 'version', im.version,
                                                         'nature', m.nature) ORDER BY m.id), '[]')
            FROM inventory.installation_modules im JOIN inventory.modules m ON m.id = im.module_id
            WHERE im.installation_id = i.id) AS modules
    FROM inventory.clients c
    LEFT JOIN inventory.installations i ON i.client_id = c.id AND NOT i.retired
    LEFT JOIN inventory.products p ON p.id = i.product_id
    WHERE c.id = ANY(:clients)
    ORDER BY c.id, i.id
""")

_FREEZE = sql("""
    INSERT INTO inventory.environments (ticket_id, classification, fact_id, client_id, type, snapshot, taken_at)
    SELECT ticket_id, classification, fact_id, client_id, type, snapshot, taken_at
    FROM jsonb_to_recordset(:rows) AS r(ticket_id uuid, classification integer, fact_id uuid, client_id text, type text,
                                        snapshot jsonb, taken_at timestamptz)
    ORDER BY ticket_id, classification
    ON CONFLICT (ticket_id, classification) DO NOTHING
    RETURNING fact_id
""")


@dataclass(frozen=True)
class Around:
    """What the inventory already holds of the things that new records name."""

    clients: frozenset[str]
    products: frozenset[str]
    modules: dict[str, Module]
    installations: dict[str, Placement]


async def store_clients(tx: Transaction, cause: Cause, records: Sequence[ClientRecord]) -> Stored:
    """Stores the clients that are new or differ from what was stored."""
    return await _store(tx, _STORE_CLIENTS, cause, [_named(record) for record in records])


async def store_products(tx: Transaction, cause: Cause, records: Sequence[ProductRecord]) -> Stored:
    """Stores the products that are new or differ from what was stored."""
    return await _store(tx, _STORE_PRODUCTS, cause, [_named(record) for record in records])


async def store_modules(tx: Transaction, cause: Cause, records: Sequence[ModuleRecord]) -> Stored:
    """Stores the modules that are new or differ from what was stored."""
    return await _store(tx, _STORE_MODULES, cause, [_named(record) for record in records])


async def store_installations(tx: Transaction, cause: Cause, records: Sequence[InstallationRecord]) -> Stored:
    """Stores the installations that are new or differ, in themselves or in one of their modules."""
    return await _store(tx, _STORE_INSTALLATIONS, cause, [record.model_dump(mode="json") for record in records])


async def load_around_modules(tx: Transaction, records: Sequence[ModuleRecord]) -> Around:
    """What these modules name; their products are locked, so that nobody else records modules of them meanwhile."""
    locked = await tx.fetch(_LOCK_PRODUCTS, {"ids": sorted({record.product_id for record in records})})
    products = frozenset(row.id for row in locked)
    named = sorted({record.client_id for record in records if record.client_id is not None})
    found = await tx.fetch_one(_AROUND_MODULES, {"clients": named, "modules": [record.id for record in records]})
    return Around(frozenset(found.clients), products, _modules(found.modules), {})


async def load_around_installations(tx: Transaction, records: Sequence[InstallationRecord]) -> Around:
    """What these installations name; their clients are locked, so that nobody else changes what they have meanwhile."""
    locked = await tx.fetch(_LOCK_CLIENTS, {"ids": sorted({record.client_id for record in records})})
    clients = frozenset(row.id for row in locked)
    wanted = {
        "products": sorted({record.product_id for record in records}),
        "modules": sorted({module for record in records for module in record.modules}),
        "installations": [record.id for record in records],
    }
    found = await tx.fetch_one(_AROUND_INSTALLATIONS, wanted)
    placed = {row["id"]: Placement(row["client_id"], row["product_id"]) for row in found.installations}
    return Around(clients, frozenset(found.products), _modules(found.modules), placed)


async def load_in_use(tx: Transaction, clients: Collection[str]) -> dict[str, list[Installation]]:
    """The installations in use of each of these clients that the inventory knows; an empty list for one without any."""
    in_use: dict[str, list[Installation]] = {}
    for row in await tx.fetch(_IN_USE, {"clients": sorted(clients)}):
        installations = in_use.setdefault(row.client_id, [])
        if row.id is not None:
            installations.append(_installation(row))
    return in_use


async def freeze_environments(tx: Transaction, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Keeps these snapshots; the fact ids of those that are the first of their classification; the others go."""
    return {str(row.fact_id) for row in await tx.fetch(_FREEZE, {"rows": rows})}


async def _store(tx: Transaction, statement: Statement, cause: Cause, rows: list[dict[str, Any]]) -> Stored:
    stored = await tx.fetch(statement, {"rows": rows, "at": cause.recorded_at, "actor": cause.actor})
    return {row.id: Mark(row.version, row.changed_at) for row in stored}


def _named(record: BaseModel) -> dict[str, Any]:
    row = record.model_dump(mode="json")
    return row | {"name_key": sort_key(row["name"])}


def _modules(rows: list[dict[str, Any]]) -> dict[str, Module]:
    return {row["id"]: Module(**row) for row in rows}


def _installation(row: Any) -> Installation:
    changed_at: datetime = row.changed_at
    return Installation(
        id=row.id,
        client_id=row.client_id,
        product_id=row.product_id,
        product_name=row.product_name,
        product_version=row.product_version,
        site=row.site,
        modules=tuple(InstalledModule(**module) for module in row.modules),
        changed_at=changed_at,
    )
