"""Every session that serves has the guards of its role; what one needs otherwise it sets itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.db.connection import PATIENCE_SECONDS, STATEMENT_SECONDS
from shared.db.engine import DIRECT_STATEMENT_SECONDS, Engine, direct_connection, make_engine
from shared.db.guards import GUARDS, missing_guards
from tests.support.databases import Database

STANDING = """
    SELECT name, setting, source FROM pg_settings
    WHERE name = ANY($1) OR name IN ('client_connection_check_interval', 'idle_session_timeout', 'TimeZone')
"""


@pytest.fixture
async def db(database: Callable[[str], Awaitable[Database]]) -> Database:
    return await database("runtime")


async def standing(connection: Any) -> dict[str, tuple[str, str]]:
    rows = await connection.fetch(STANDING, list(GUARDS))
    return {row["name"]: (row["setting"], row["source"]) for row in rows}


async def test_a_session_of_the_pool_has_the_guards_from_its_role(db: Database) -> None:
    async with db.engine.lend() as connection:
        told = await standing(connection)
    of_role = {name: (str(most), "database user") for name, most in GUARDS.items()}
    assert told == {
        **of_role,
        "client_connection_check_interval": ("1000", "session"),
        "idle_session_timeout": ("0", "default"),
        "TimeZone": ("UTC", "client"),
    }


async def test_a_session_of_its_own_sets_what_it_needs_otherwise(db: Database) -> None:
    async with direct_connection(db.url, application="alone", idle_session_timeout="15s") as connection:
        told = await standing(connection)
    assert told["statement_timeout"] == (f"{DIRECT_STATEMENT_SECONDS * 1000:.0f}", "session")
    assert told["idle_session_timeout"] == ("15000", "session")
    assert told["lock_timeout"] == (str(GUARDS["lock_timeout"]), "database user")
    assert told["idle_in_transaction_session_timeout"][1] == "database user"


async def test_a_person_with_psql_has_them_too(db: Database) -> None:
    async with db.connect() as connection:
        assert (await standing(connection))["lock_timeout"] == (str(GUARDS["lock_timeout"]), "database user")


def patience_of(engine: Engine) -> float:
    """How long the driver waits for an answer."""
    seconds: float = engine._make_pool.keywords["command_timeout"]
    return seconds


def test_the_driver_waits_a_little_longer_than_the_server(db: Database) -> None:
    assert patience_of(db.engine) * 1000 == GUARDS["statement_timeout"] + PATIENCE_SECONDS * 1000
    assert GUARDS["lock_timeout"] < GUARDS["statement_timeout"] == STATEMENT_SECONDS * 1000


async def test_an_engine_with_another_end_of_its_statements_tells_both_sides(db: Database) -> None:
    engine = make_engine(db.url, application="quick", pool_size=1, statement_seconds=1.5)
    try:
        async with engine.lend() as connection:
            assert (await standing(connection))["statement_timeout"] == ("1500", "session")
        assert patience_of(engine) == 1.5 + PATIENCE_SECONDS
    finally:
        await engine.dispose()


async def test_what_a_role_lacks_is_told_and_a_shorter_limit_is_none(db: Database) -> None:
    async with db.engine.connect() as reader:
        assert await missing_guards(reader) == []
    engine = make_engine(db.owner_url, application="owner", pool_size=1, statement_seconds=1)
    try:
        async with engine.connect() as reader:
            assert await missing_guards(reader) == [
                "lock_timeout is off instead of 20 s",
                "idle_in_transaction_session_timeout is off instead of 3 s",
            ]
    finally:
        await engine.dispose()
