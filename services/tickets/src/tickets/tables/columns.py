"""What the tables of this service share: the metadata, and columns that several have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Integer, MetaData, Text

from shared.db.columns import instant, text

metadata = MetaData(schema="tickets")


def integer(name: str, *, nullable: bool = False) -> Column[int]:
    """A whole number."""
    return Column(name, Integer, nullable=nullable)


def flag(name: str) -> Column[bool]:
    """Whether something is so."""
    return Column(name, Boolean, nullable=False)


def texts(name: str) -> Column[Any]:
    """Some texts, none by default."""
    return Column(name, ARRAY(Text), nullable=False, server_default="{}")


def sequence(name: str = "sequence") -> Column[int]:
    """The owner's sequence of the event that last wrote the columns before it."""
    return Column(name, BigInteger, nullable=False)


def record() -> tuple[Column[int], Column[Any], Column[str]]:
    """What every record of reference data has."""
    return integer("version"), instant("changed_at"), text("changed_by")
