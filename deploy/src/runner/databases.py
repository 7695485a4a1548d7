"""Databases of the services: one each, with a role that owns and migrates it and a role that only serves."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from runner.errors import RunnerError
from shared.db.guards import GUARDS

ROLES_LOCK = 0x0DE5_0003
COPIED_WITHIN_SECONDS = 30.0

_GUARDED = """
    SELECT pg_get_userbyid(setrole) AS role, unnest(setconfig) AS setting FROM pg_db_role_setting
    WHERE setrole <> 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = $1)
"""


@asynccontextmanager
async def _connected(admin_url: str, database: str | None = None) -> AsyncIterator[Any]:
    """A connection of the administrator, by default to the database that its address names."""
    try:
        connection = await asyncpg.connect(admin_url, database=database, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        where = admin_url.rpartition("@")[2]
        raise RunnerError(f"PostgreSQL at {where} does not let the administrator in: {error}") from error
    try:
        yield connection
    finally:
        await connection.close()


def _name(text: str) -> str:
    """An identifier as SQL; the server takes no parameter in its place."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", text):
        raise ValueError(f"{text!r} is not a plain identifier")
    return f'"{text}"'


def _literal(text: str) -> str:
    """A string as SQL; CREATE ROLE takes no parameter in its place."""
    if "\\" in text or "\0" in text:
        raise ValueError("a password with a backslash or a zero byte")
    return "'" + text.replace("'", "''") + "'"


async def create_database(
    admin_url: str, name: str, owner: str, owner_password: str, server: str, server_password: str
) -> None:
    """Make the database and its two roles, or bring what is there into this state (so it can be repeated).

    `owner` owns the database and whatever it creates there. `server` may connect and may use the schemas; what it may
    do with the tables is granted by the migrations, which know its name from DESK_DATABASE_URL. Nobody else connects.
    Its sessions there have the guards; the owner's have none, for a migration may take long.
    """
    async with _connected(admin_url) as connection:
        # Roles belong to the whole server: two runners that set one at the same time would get an error for nothing.
        await connection.execute("SELECT pg_advisory_lock($1)", ROLES_LOCK)
        for role, password in ((owner, owner_password), (server, server_password)):
            await _ensure_role(connection, role, password)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await _create_owned(connection, name, owner)
        await connection.execute(f"REVOKE ALL ON DATABASE {_name(name)} FROM PUBLIC")
        await connection.execute(f"GRANT CONNECT ON DATABASE {_name(name)} TO {_name(server)}")
        for guard, most in GUARDS.items():
            await connection.execute(f"{_guards_of(server, name)} SET {guard} = {most}")
    async with _connected(admin_url, name) as connection:
        await connection.execute(f"GRANT USAGE ON SCHEMA public TO {_name(server)}")
        # Schemas that the owner's migrations create later are open to the serving role from the start.
        grant = f"GRANT USAGE ON SCHEMAS TO {_name(server)}"
        await connection.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {_name(owner)} {grant}")


async def clone_database(admin_url: str, template: str, name: str) -> None:
    """Copy a database as it is: rows, grants, owner. Nobody may be connected to the template for longer than a moment.

    Raises RunnerError when there is no such template.
    """
    async with _connected(admin_url) as connection:
        row = await connection.fetchrow(
            "SELECT pg_get_userbyid(datdba) AS owner, datacl::text[] AS grants FROM pg_database WHERE datname = $1",
            template,
        )
        if row is None:
            raise RunnerError(f"There is no database {template} to copy.")
        statement = f"CREATE DATABASE {_name(name)} TEMPLATE {_name(template)} OWNER {_name(row['owner'])}"
        await _retried_while_in_use(connection, statement)
        # The privileges of the database itself are not copied with it, nor are the guards of its roles.
        await connection.execute(f"REVOKE ALL ON DATABASE {_name(name)} FROM PUBLIC")
        for role in _who_connects(row["grants"] or []):
            await connection.execute(f"GRANT CONNECT ON DATABASE {_name(name)} TO {_name(role)}")
        for each in await connection.fetch(_GUARDED, template):
            guard, _, most = each["setting"].partition("=")
            await connection.execute(f"{_guards_of(each['role'], name)} SET {_name(guard)} = {_literal(most)}")


async def drop_database(admin_url: str, name: str) -> None:
    """Delete a database where it exists, and end whatever is connected to it."""
    async with _connected(admin_url) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {_name(name)} WITH (FORCE)")


async def identity_of(admin_url: str, name: str) -> str:
    """What tells this database from any other that ever had its name: the cluster's id and the database's oid."""
    async with _connected(admin_url) as connection:
        oid = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = $1", name)
        try:
            system = await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
        except asyncpg.InsufficientPrivilegeError:
            # A hosted server may not say; the oid and the server's address are then all that there is.
            system = admin_url.rpartition("@")[2]
        return f"{system}#{oid}"


def _guards_of(role: str, database: str) -> str:
    return f"ALTER ROLE {_name(role)} IN DATABASE {_name(database)}"


async def _ensure_role(connection: Any, role: str, password: str) -> None:
    """Two runners may make the same role at once; the second finds it made."""
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            await connection.execute(f"CREATE ROLE {_name(role)} LOGIN")
    await connection.execute(f"ALTER ROLE {_name(role)} LOGIN PASSWORD {_literal(password)}")


async def _create_owned(connection: Any, name: str, owner: str) -> None:
    # An administrator who is no superuser (as on a hosted server) must be a member of the role that it gives things to.
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await connection.execute(f"GRANT {_name(owner)} TO CURRENT_USER")
    statement = f"CREATE DATABASE {_name(name)} OWNER {_name(owner)} TEMPLATE template0 ENCODING 'UTF8'"
    with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        await _retried_while_in_use(connection, statement)


async def _retried_while_in_use(connection: Any, statement: str) -> None:
    """The server refuses to copy a database while somebody is connected to it, if only for a moment."""
    deadline = time.monotonic() + COPIED_WITHIN_SECONDS
    while True:
        try:
            await connection.execute(statement)
            return
        except asyncpg.ObjectInUseError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def _who_connects(grants: list[str]) -> list[str]:
    """The roles of an access list such as `{desk_sla=c/postgres}` that may connect."""
    split = [(grant.partition("=")[0].strip('"'), grant.partition("=")[2].partition("/")[0]) for grant in grants]
    return [role for role, rights in split if role and "c" in rights]
