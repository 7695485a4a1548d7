"""The migrated database is what tables.py says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from inventory.tables import metadata
from tests.support.databases import Database


def differences(connection: Connection) -> list[Any]:
    def is_mine(name: str | None, kind: str, _parents: Any) -> bool:
        return name == "inventory" if kind == "schema" else name != "alembic"

    options = {"include_schemas": True, "include_name": is_mine, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrations_make_exactly_the_declared_tables(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    inventory = await database("inventory")
    assert await inventory.inspect(differences) == []
