"""The migrated database is what tables.py says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from inventory.tables import metadata
from tests.support.databases import Database
from tests.support.earlier import carried_over


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


async def test_the_names_of_an_earlier_release_are_found_by_the_new_spelling(postgres_url: str, tmp_path: Path) -> None:
    recorded = "false, 1, '2026-11-24', 'irma'"
    inserts = [
        "INSERT INTO inventory.clients (id, name, name_key, tier, retired, version, changed_at, changed_by) "
        f"VALUES ('alto', 'Alto-Paraná S.R.L.', 'alto-parana s.r.l.', 'oro', {recorded})",
        f"INSERT INTO inventory.products VALUES ('erp', 'Kontar E.R.P.', 'kontar e.r.p.', {recorded})",
        f"INSERT INTO inventory.modules VALUES ('i', 'I.V.A.', 'i.v.a.', 'erp', 'standard', NULL, {recorded})",
    ]
    async with carried_over(postgres_url, tmp_path, "inventory", "0002", inserts) as rows:
        for table, key in (("clients", "alto parana srl"), ("products", "kontar erp"), ("modules", "iva")):
            assert await rows(f"SELECT name_key, version FROM inventory.{table}") == [(key, 1)]
