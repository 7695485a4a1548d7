"""Databases of the services: who owns, who serves, and copies for tests."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from runner.databases import clone_database, create_database, drop_database, identity_of
from runner.errors import RunnerError
from shared.db.guards import GUARDS


@pytest.fixture
async def name(postgres_url: str) -> AsyncIterator[str]:
    name = f"runner_{uuid.uuid4().hex[:12]}"
    await _create(postgres_url, name)
    yield name
    for each in (name, f"{name}_copy"):
        await drop_database(postgres_url, each)
    administrator = await asyncpg.connect(postgres_url)
    await administrator.execute(f"DROP ROLE {name}_owner; DROP ROLE {name}_server")
    await administrator.close()


async def _create(postgres_url: str, name: str) -> None:
    await create_database(postgres_url, name, f"{name}_owner", "o'wner", f"{name}_server", "server")


async def _connect(postgres_url: str, database: str, user: str, password: str) -> asyncpg.Connection:
    return await asyncpg.connect(postgres_url, database=database, user=user, password=password)


async def test_the_serving_role_uses_what_it_is_granted_and_can_make_nothing(postgres_url: str, name: str) -> None:
    owner = await _connect(postgres_url, name, f"{name}_owner", "o'wner")
    await owner.execute(
        f"CREATE SCHEMA runtime; CREATE TABLE runtime.t (a int); GRANT SELECT ON runtime.t TO {name}_server"
    )
    await owner.close()
    server = await _connect(postgres_url, name, f"{name}_server", "server")
    try:
        assert await server.fetchval("SELECT count(*) FROM runtime.t") == 0
        for forbidden in ("INSERT INTO runtime.t VALUES (1)", "CREATE TABLE public.t (a int)", "CREATE SCHEMA own"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await server.execute(forbidden)
    finally:
        await server.close()


async def test_nobody_else_connects(postgres_url: str, name: str) -> None:
    other = f"{name}_other"
    await create_database(postgres_url, other, f"{other}_owner", "x", f"{other}_server", "x")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _connect(postgres_url, name, f"{other}_server", "x")
    finally:
        await drop_database(postgres_url, other)
        administrator = await asyncpg.connect(postgres_url)
        await administrator.execute(f"DROP ROLE {other}_owner; DROP ROLE {other}_server")
        await administrator.close()


async def test_making_it_again_keeps_the_rows_and_sets_the_passwords_anew(postgres_url: str, name: str) -> None:
    owner = await _connect(postgres_url, name, f"{name}_owner", "o'wner")
    await owner.execute("CREATE TABLE kept AS SELECT 1 AS a")
    await owner.close()
    before = await identity_of(postgres_url, name)
    await create_database(postgres_url, name, f"{name}_owner", "new", f"{name}_server", "new")
    owner = await _connect(postgres_url, name, f"{name}_owner", "new")
    assert await owner.fetchval("SELECT a FROM kept") == 1
    await owner.close()
    assert await identity_of(postgres_url, name) == before
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _connect(postgres_url, name, f"{name}_server", "server")


async def test_a_database_made_anew_under_the_same_name_is_another_one(postgres_url: str, name: str) -> None:
    before = await identity_of(postgres_url, name)
    await drop_database(postgres_url, name)
    await _create(postgres_url, name)
    assert await identity_of(postgres_url, name) != before


async def test_a_copy_has_the_rows_the_grants_and_the_owner_and_a_life_of_its_own(postgres_url: str, name: str) -> None:
    owner = await _connect(postgres_url, name, f"{name}_owner", "o'wner")
    await owner.execute(f"CREATE TABLE public.t AS SELECT 1 AS a; GRANT SELECT ON public.t TO {name}_server")
    await owner.close()
    await clone_database(postgres_url, name, f"{name}_copy")
    owner = await _connect(postgres_url, f"{name}_copy", f"{name}_owner", "o'wner")
    await owner.execute("INSERT INTO public.t VALUES (2)")
    await owner.close()
    counts = []
    for database in (name, f"{name}_copy"):
        server = await _connect(postgres_url, database, f"{name}_server", "server")
        counts.append(await server.fetchval("SELECT count(*) FROM public.t"))
        await server.close()
    assert counts == [1, 2]


async def test_every_session_that_serves_has_its_guards_in_a_copy_too_and_the_owner_has_none(
    postgres_url: str, name: str
) -> None:
    await clone_database(postgres_url, name, f"{name}_copy")
    for database in (name, f"{name}_copy"):
        for role, password, expected in ((f"{name}_server", "server", GUARDS), (f"{name}_owner", "o'wner", {})):
            connection = await _connect(postgres_url, database, role, password)
            rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(GUARDS))
            assert {row["name"]: int(row["setting"]) for row in rows} == {**dict.fromkeys(GUARDS, 0), **expected}
            await connection.close()


async def test_copying_what_is_not_there_says_so(postgres_url: str) -> None:
    with pytest.raises(RunnerError, match="no database runner_missing"):
        await clone_database(postgres_url, "runner_missing", "runner_copy")


async def test_a_name_that_is_no_plain_identifier_never_reaches_the_server(postgres_url: str) -> None:
    with pytest.raises(ValueError, match="plain identifier"):
        await drop_database(postgres_url, 'x"; DROP DATABASE postgres; --')


async def test_a_server_that_does_not_let_the_administrator_in_is_named(postgres_url: str) -> None:
    wrong = postgres_url.replace("postgres:", "postgres:wrong")
    with pytest.raises(RunnerError, match="does not let the administrator in") as caught:
        await drop_database(wrong, "runner_missing")
    assert "wrong" not in caught.value.message
