"""Column types that every table uses the same way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB


def instant(name: str, **options: Any) -> Column[Any]:
    """An aware instant; PostgreSQL keeps it in UTC."""
    return Column(name, DateTime(timezone=True), nullable=options.pop("nullable", False), **options)


def uuid(name: str, **options: Any) -> Column[UUID]:
    """A UUID (version 7 wherever this product makes it)."""
    return Column(name, Uuid(as_uuid=True), nullable=options.pop("nullable", False), **options)


def text(name: str, *args: Any, **options: Any) -> Column[str]:
    """Text without a length: limits belong to the edge, where they can be explained."""
    return Column(name, Text, *args, nullable=options.pop("nullable", False), **options)


def document(name: str, **options: Any) -> Column[Any]:
    """JSON that is only ever read whole."""
    return Column(name, JSONB, nullable=options.pop("nullable", False), **options)


def position(name: str = "position") -> Column[int]:
    """An identity that is taken one by one (CACHE 1), so that it grows in the order of taking."""
    return Column(name, BigInteger, Identity(always=True, cache=1), primary_key=True)
