"""Replicas of what inventory and sla own. No foreign keys: a contract may arrive before its client."""

from __future__ import annotations

from sqlalchemy import Index, Table

from shared.db.columns import document, instant, text
from tickets.tables.columns import flag, integer, metadata, sequence

clients = Table(
    "clients",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    text("tax_id", nullable=True),
    text("tax_key", nullable=True),
    text("tier"),
    *(text(name, nullable=True) for name in ("city", "contact", "phone")),
    flag("retired"),
    sequence(),
)
Index("clients_by_name", clients.c.name_key, clients.c.id)

products = Table("products", metadata, text("id", primary_key=True), text("name"), flag("retired"), sequence())

modules = Table(
    "modules",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("product_id"),
    text("nature"),
    text("client_id", nullable=True),
    flag("retired"),
    sequence(),
)

installations = Table(
    "installations",
    metadata,
    text("id", primary_key=True),
    text("client_id"),
    text("product_id"),
    text("product_version"),
    document("modules"),
    flag("retired"),
    sequence(),
)
Index("installations_by_client", installations.c.client_id)

contracts = Table(
    "contracts",
    metadata,
    text("id", primary_key=True),
    text("client_id"),
    # Of each version what is read here: every opening reads them all.
    document("versions"),
    flag("retired"),
    sequence(),
)
Index("contracts_by_client", contracts.c.client_id)

contract_types = Table(
    "contract_types",
    metadata,
    text("id", primary_key=True),
    text("name"),
    integer("version"),
    document("terms"),
    flag("retired"),
    sequence(),
)

# One row for each version that was activated: what a clock counts in.
calendars = Table(
    "calendars",
    metadata,
    text("id", primary_key=True),
    text("calendar_id"),
    integer("version"),
    text("name"),
    instant("effective_from", nullable=True),
    document("calendar"),
    flag("retired"),
    sequence(),
)
Index("calendars_by_version", calendars.c.calendar_id, calendars.c.version)
