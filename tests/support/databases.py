"""Databases for tests: a template is migrated once per session, each test works on its own copy."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from runner.databases import clone_database, create_database, drop_database
from shared.db.engine import Engine, make_engine
from shared.db.migrate import migrate
from shared.db.transaction import Transaction, begin

CHECKOUT = Path(__file__).resolve().parents[2]
OWNER, SERVING, PASSWORD = "test_owner", "test_serving", "test-only"
LOCK = 0x7E57

Answer = TypeVar("Answer")


@dataclass
class Database:
    """One test's own database, with the engine of the serving role."""

    name: str
    admin_url: str
    engine: Engine

    @property
    def url(self) -> str:
        """The serving role's address."""
        return _url(self.admin_url, self.name, SERVING).render_as_string(hide_password=False)

    @property
    def owner_url(self) -> str:
        """The owner role's address."""
        return _url(self.admin_url, self.name, OWNER).render_as_string(hide_password=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """One transaction of the serving role, committed at the end."""
        async with begin(self.engine, lambda: None) as tx:
            yield tx

    @asynccontextmanager
    async def connect(self, role: str = SERVING) -> AsyncIterator[asyncpg.Connection]:
        """A plain connection, outside the pool."""
        connection = await asyncpg.connect(_url(self.admin_url, self.name, role).render_as_string(hide_password=False))
        try:
            yield connection
        finally:
            await connection.close()

    async def inspect(self, question: Callable[[Connection], Answer]) -> Answer:
        """What a synchronous question to a connection of SQLAlchemy, as Alembic asks it, is answered."""
        engine = create_async_engine(make_url(self.owner_url).set(drivername="postgresql+asyncpg"))
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(question)
        finally:
            await engine.dispose()

    async def count(self, query: str, *arguments: object) -> int:
        """The single number that a query answers."""
        async with self.connect() as connection:
            return int(await connection.fetchval(query, *arguments))


def _url(admin_url: str, database: str, role: str) -> URL:
    return make_url(admin_url).set(drivername="postgresql", database=database, username=role, password=PASSWORD)


def _release() -> str:
    """What the templates depend on: how this checkout migrates, its revisions and its defaults."""
    digest = hashlib.sha256()
    revisions = [folder.glob("migrations/versions/*.py") for folder in CHECKOUT.glob("services/*/src/*")]
    runtime = CHECKOUT.glob("shared/src/shared/messaging/migrations/versions/*.py")
    defaults = CHECKOUT.glob("services/*/src/*/defaults.yaml")
    grants = [
        *[CHECKOUT / "shared" / "src" / "shared" / "db" / name for name in ("migrate.py", "guards.py")],
        CHECKOUT / "deploy" / "src" / "runner" / "databases.py",
    ]
    for path in sorted(chain(*revisions, runtime, defaults, grants)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


async def ensure_template(admin_url: str, service: str) -> str:
    """The name of a service's migrated template (`runtime`: only the runtime's tables), made when it is missing."""
    name = f"template_{service}_{_release()}"
    connection = await asyncpg.connect(admin_url)
    try:
        # Workers of one session share the server: the first one makes the template, the others wait for it.
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await _make(admin_url, service, name)
    finally:
        await connection.close()
    return name


async def _make(admin_url: str, service: str, name: str) -> None:
    unfinished = f"{name}_unfinished"
    await drop_database(admin_url, unfinished)
    await create_database(admin_url, unfinished, OWNER, PASSWORD, SERVING, PASSWORD)
    owner = _url(admin_url, unfinished, OWNER).render_as_string(hide_password=False)
    serving = _url(admin_url, unfinished, SERVING).render_as_string(hide_password=False)
    if service == "runtime":
        await migrate(owner, serving_role=SERVING, histories={})
    else:
        await _run(service, "migrate", owner=owner, serving=serving)
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    finally:
        await connection.close()


async def _run(service: str, command: str, *, owner: str, serving: str) -> None:
    """The service's own command, as an installation runs it: defaults are loaded too."""
    process = await asyncio.create_subprocess_exec(
        str(CHECKOUT / ".venv" / "bin" / "python"), "-m", service, command,
        env={**os.environ, "DESK_DATABASE_URL": serving, "DESK_OWNER_DATABASE_URL": owner},
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@asynccontextmanager
async def fresh_database(admin_url: str, service: str) -> AsyncIterator[Database]:
    """A copy of the service's template, dropped at the end."""
    template = await ensure_template(admin_url, service)
    async with _copied(admin_url, template, service) as database:
        yield database


@asynccontextmanager
async def dumped(database: Database) -> AsyncIterator[Database]:
    """A database as it is now, in a second one, which is dropped at the end; the first goes on."""
    await database.engine.dispose()
    database.engine = _engine(database.admin_url, database.name)
    async with _copied(database.admin_url, database.name, "dump") as dump:
        yield dump


@asynccontextmanager
async def _copied(admin_url: str, template: str, prefix: str) -> AsyncIterator[Database]:
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    await clone_database(admin_url, template, name)
    database = Database(name, admin_url, _engine(admin_url, name))
    try:
        yield database
    finally:
        await database.engine.dispose()
        await drop_database(admin_url, name)


def _engine(admin_url: str, name: str) -> Engine:
    url = _url(admin_url, name, SERVING).render_as_string(hide_password=False)
    return make_engine(url, application="test", pool_size=8)
