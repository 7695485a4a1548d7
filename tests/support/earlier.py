"""What an earlier release stored, carried over by a migration of data: the one way to test one.

async with carried_over(postgres_url, tmp_path, "runtime", "0003", inserts) as rows:
    assert await rows("SELECT ...") == [...]
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from runner.databases import create_database, drop_database
from shared.db.migrate import migrate
from tests.support.databases import CHECKOUT, OWNER, PASSWORD, SERVING


@dataclass(frozen=True)
class CarriedOver:
    """A database whose rows were carried over; called with a query it answers the rows."""

    url: str
    connection: asyncpg.Connection

    async def __call__(self, query: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.connection.fetch(query)]


@asynccontextmanager
async def carried_over(
    postgres_url: str, folder: Path, service: str, revision: str, inserts: Iterable[str]
) -> AsyncIterator[CarriedOver]:
    """A database that is migrated to just before a revision (the number that its file begins with), given rows as the
    release before wrote them, and then migrated to that revision and no further. The block asks what became of them.

    `service` may be "runtime": the tables that every service has.
    """
    name = f"earlier_{uuid4().hex[:10]}"
    url = make_url(postgres_url).set(database=name, username=OWNER, password=PASSWORD)
    owner_url = url.render_as_string(hide_password=False)
    await create_database(postgres_url, name, OWNER, PASSWORD, SERVING, PASSWORD)
    sys.path.insert(0, str(folder))
    try:
        before, until = _history(folder, service, revision, inclusive=False), _history(folder, service, revision)
        await migrate(owner_url, serving_role=SERVING, histories={service: before})
        connection = await asyncpg.connect(owner_url)
        try:
            for statement in inserts:
                await connection.execute(statement)
            await migrate(owner_url, serving_role=SERVING, histories={service: until})
            yield CarriedOver(owner_url, connection)
        finally:
            await connection.close()
    finally:
        sys.path.remove(str(folder))
        await drop_database(postgres_url, name)


def migrations_of(service: str) -> Path:
    """Where the history of a service stands, or that of the runtime."""
    if service == "runtime":
        return CHECKOUT / "shared" / "src" / "shared" / "messaging" / "migrations"
    return CHECKOUT / "services" / service / "src" / service / "migrations"


def _history(folder: Path, service: str, revision: str, *, inclusive: bool = True) -> str:
    """The package of a service's revisions up to one, without those that came later. Raises KeyError for none such."""
    package = f"{service}_{'until' if inclusive else 'before'}_{revision}"
    shutil.copytree(migrations_of(service), folder / package)
    found = {path.name[:4]: path for path in (folder / package / "versions").glob("[0-9]*.py")}
    if revision not in found:
        raise KeyError(f"{service} has no revision {revision}")
    for number, path in found.items():
        if number > revision or (number == revision and not inclusive):
            path.unlink()
    return package
