"""Replicas of what inventory and sla own. No foreign keys: a contract may arrive before its client."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Table

from shared.db.columns import document, instant, text
from tickets.tables.columns import flag, integer, metadata, sequence


def _record(name: str, *columns: Column[Any]) -> Table:
    """The replica of a record: its id, what is read of it here, and what every state record has."""
    return Table(name, metadata, text("id", primary_key=True), *columns, flag("retired"), sequence())


clients = _record(
    "clients",
    text("name"),
    text("name_key"),
    text("tax_id", nullable=True),
    text("tax_key", nullable=True),
    text("tier"),
    *(text(name, nullable=True) for name in ("city", "contact", "phone")),
)
Index("clients_by_name", clients.c.name_key, clients.c.id)

products = _record("products", text("name"))

modules = _record("modules", text("name"), text("product_id"), text("nature"), text("client_id", nullable=True))

installations = _record(
    "installations", text("client_id"), text("product_id"), text("product_version"), document("modules")
)
Index("installations_by_client", installations.c.client_id)

contracts = _record(
    "contracts",
    text("client_id"),
    # Of each version what is read here: every opening reads them all.
    document("versions"),
)
Index("contracts_by_client", contracts.c.client_id)

contract_types = _record("contract_types", text("name"), integer("version"), document("terms"))

# One row for each version that was activated: what a clock counts in.
calendars = _record(
    "calendars",
    text("calendar_id"),
    integer("version"),
    text("name"),
    instant("effective_from", nullable=True),
    document("calendar"),
)
Index("calendars_by_version", calendars.c.calendar_id, calendars.c.version)
