"""Whether a database is at this release's schema, asked without Alembic: half a second that no serving process pays."""

from __future__ import annotations

import ast
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from shared.db.failures import state_of
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.errors import Unavailable

RUNTIME = {"runtime": "shared.messaging.migrations"}
# Undefined table, undefined schema; and a table on which an earlier release did not let the serving role look.
_NOT_THERE = {"42P01", "3F000", "42501"}


class SchemaOlder(Unavailable):
    """The database has not had all migrations of this release."""

    code = "schema-older"
    title = "The database is older than this release"


class SchemaNewer(Unavailable):
    """The database has had a migration that this release does not know."""

    code = "schema-newer"
    title = "The database is newer than this release"


@dataclass(frozen=True)
class History:
    """The revisions of one schema as the code has them: all that it knows, and those at which it ends."""

    schema: str
    known: frozenset[str]
    heads: frozenset[str]


def read_histories(service: str) -> list[History]:
    """The runtime's history and the service's, read from the files of their revisions (which are not run)."""
    packages = {**RUNTIME, service: f"{service}.migrations"}
    return [_read_history(schema, package) for schema, package in packages.items()]


async def require_schema(connection: Reader, service: str, histories: Sequence[History]) -> None:
    """Asks the database in one query where it stands.

    Raises SchemaOlder or SchemaNewer, which say what to do, when that is not exactly where this release stands.
    """
    query = " UNION ALL ".join(
        f"SELECT '{each.schema}' AS schema, version_num FROM \"{each.schema}\".alembic"  # noqa: S608 names of our own
        for each in histories
    )
    try:
        rows = await connection.fetch(sql(query))
    except asyncpg.PostgresError as error:
        if state_of(error) in _NOT_THERE:
            raise SchemaOlder(f"the database has not been migrated to this release: {_how(service)}") from None
        raise
    found = {each.schema: {row.version_num for row in rows if row.schema == each.schema} for each in histories}
    _compare(service, histories, found)


def _compare(service: str, histories: Sequence[History], found: Mapping[str, set[str]]) -> None:
    for each in histories:
        if unknown := found[each.schema] - each.known:
            raise SchemaNewer(
                f"this release is older than the database: schema {each.schema} is at {_names(unknown)}, "
                f"this release ends at {_names(each.heads)}: install the newer release"
            )
    for each in histories:
        if found[each.schema] != each.heads:
            raise SchemaOlder(
                f"the database is older than this release: schema {each.schema} is at "
                f"{_names(found[each.schema]) or 'nothing'} instead of {_names(each.heads)}: {_how(service)}"
            )


def _how(service: str) -> str:
    return f"run `python -m {service} migrate` as the owner role"


def _names(revisions: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(revisions))


def _read_history(schema: str, package: str) -> History:
    known: set[str] = set()
    followed: set[str] = set()
    for file in (importlib.resources.files(package) / "versions").iterdir():
        if file.name.endswith(".py"):
            stated = dict(_assignments(file.read_text(encoding="utf-8")))
            if "revision" in stated:
                known.add(stated["revision"])
                before = stated.get("down_revision") or ()
                followed |= {before} if isinstance(before, str) else set(before)
    return History(schema, frozenset(known), frozenset(known - followed))


def _assignments(source: str) -> Iterator[tuple[str, Any]]:
    """Name and value of what a revision states about itself at its top level."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id in ("revision", "down_revision"):
                    yield target.id, ast.literal_eval(node.value)
