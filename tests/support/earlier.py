"""A database as an earlier release left it: the revisions up to one, without those that came later."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from runner.databases import create_database, drop_database
from shared.db.migrate import migrate
from tests.support.databases import CHECKOUT, OWNER, PASSWORD, SERVING


@asynccontextmanager
async def database_until(postgres_url: str, folder: Path, service: str, last: str) -> AsyncIterator[str]:
    """The owner's address of a database that was migrated up to the revision whose file begins with `last`."""
    package = f"{service}_until_{last}"
    shutil.copytree(CHECKOUT / "services" / service / "src" / service / "migrations", folder / package)
    for path in (folder / package / "versions").glob("[0-9]*.py"):
        if path.name[: len(last)] > last:
            path.unlink()
    name = f"earlier_{uuid4().hex[:10]}"
    await create_database(postgres_url, name, OWNER, PASSWORD, SERVING, PASSWORD)
    url = make_url(postgres_url).set(database=name, username=OWNER, password=PASSWORD)
    sys.path.insert(0, str(folder))
    try:
        await migrate(url.render_as_string(hide_password=False), serving_role=SERVING, histories={service: package})
        yield url.render_as_string(hide_password=False)
    finally:
        sys.path.remove(str(folder))
        await drop_database(postgres_url, name)


async def migrate_on(owner_url: str, service: str) -> None:
    """Brings it to this release."""
    await migrate(owner_url, serving_role=SERVING, histories={service: f"{service}.migrations"})


async def rows_of(owner_url: str, query: str) -> list[tuple[object, ...]]:
    """What a query answers."""
    connection = await asyncpg.connect(owner_url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()
