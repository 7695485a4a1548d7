"""What tickets are judged and settled by: schemes of urgency, categories, resolution codes; what was shipped."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Table

from shared.db.columns import document, instant, text
from tickets.tables.columns import flag, metadata, record

# The matrix and the rules of priority, in force from an instant until the next ones begin; read whole.
urgency_schemes = Table(
    "urgency_schemes", metadata, text("id", primary_key=True), instant("valid_from"), document("terms"), *record()
)
Index("urgency_schemes_by_begin", urgency_schemes.c.valid_from, unique=True)


def _catalogue(name: str, *more: Column[Any]) -> Table:
    named = (text("id", primary_key=True), text("name"), text("name_key"))
    made = Table(name, metadata, *named, *more, flag("retired"), *record())
    Index(f"{name}_by_name", made.c.name_key, made.c.id)
    return made


categories = _catalogue("categories", document("questions"))
resolution_codes = _catalogue("resolution_codes")

# What this release ships of schemes, categories and codes, beside what an admin made of them.
shipped = Table("shipped", metadata, text("noun", primary_key=True), text("id", primary_key=True), document("document"))
