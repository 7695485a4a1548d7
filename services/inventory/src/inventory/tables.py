"""Inventory's own tables, in the PostgreSQL schema `inventory`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy import text as sql

from shared.db.columns import document, instant, text, uuid
from shared.ticket_replica import ticket_replica

metadata = MetaData(schema="inventory")


def _recorded() -> list[Column[Any]]:
    """What every record of reference data has: it is retired, never deleted, and goes up one version per change."""
    return [
        Column("retired", Boolean, nullable=False, server_default=sql("false")),
        Column("version", Integer, nullable=False),
        instant("changed_at"),
        text("changed_by"),
    ]


clients = Table(
    "clients",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    text("tax_id", nullable=True),
    text("tier"),
    text("city", nullable=True),
    text("contact", nullable=True),
    text("phone", nullable=True),
    *_recorded(),
)
Index("clients_by_name", clients.c.name_key, clients.c.id)

products = Table("products", metadata, text("id", primary_key=True), text("name"), text("name_key"), *_recorded())
Index("products_by_name", products.c.name_key, products.c.id)

modules = Table(
    "modules",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    text("product_id", ForeignKey(products.c.id, name="modules_product")),
    text("nature"),
    text("client_id", ForeignKey(clients.c.id, name="modules_client"), nullable=True),
    *_recorded(),
    CheckConstraint("(nature = 'customised') = (client_id IS NOT NULL)", name="modules_nature"),
)
Index("modules_by_name", modules.c.name_key, modules.c.id)
Index("modules_of_product", modules.c.product_id)
Index("modules_of_client", modules.c.client_id)

installations = Table(
    "installations",
    metadata,
    text("id", primary_key=True),
    text("client_id", ForeignKey(clients.c.id, name="installations_client")),
    text("product_id", ForeignKey(products.c.id, name="installations_product")),
    text("product_version"),
    text("site", nullable=True),
    *_recorded(),
)
Index("installations_of_client", installations.c.client_id)
Index("installations_of_product", installations.c.product_id)

installation_modules = Table(
    "installation_modules",
    metadata,
    text("installation_id", ForeignKey(installations.c.id, name="installation_modules_installation")),
    text("module_id", ForeignKey(modules.c.id, name="installation_modules_module")),
    text("version"),
    PrimaryKeyConstraint("installation_id", "module_id"),
)
Index("installation_modules_of_module", installation_modules.c.module_id)

# The environments frozen on each ticket, one for each version of it that says what it is about. Append-only: the
# serving role may neither change nor delete one.
environments = Table(
    "environments",
    metadata,
    uuid("ticket_id"),
    uuid("fact_id", unique=True),
    text("client_id", nullable=True),
    text("type"),
    document("snapshot"),
    instant("taken_at"),
    Column("classification", Integer, nullable=False),
    PrimaryKeyConstraint("ticket_id", "classification"),
)

# Every ticket as its latest event left it.
tickets = ticket_replica(metadata)
