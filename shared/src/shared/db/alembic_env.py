"""What every `migrations/env.py` does: run the revisions on the connection that `migrate` hands over."""

from __future__ import annotations

from collections.abc import Callable

from alembic import context
from sqlalchemy import text

_ROWS_AT_ONCE = 5000


def run() -> None:
    """Runs the pending revisions inside the transaction of `migrate`, in the schema that it names."""
    attributes = context.config.attributes
    connection, schema = attributes["connection"], attributes["schema"]
    connection.execute(text(f'SET LOCAL search_path TO "{schema}", public'))
    context.configure(
        connection=connection,
        version_table="alembic",
        version_table_schema=schema,
        transactional_ddl=True,
    )
    context.run_migrations()


def grant(privileges: str, *tables: str) -> None:
    """Grants the serving role privileges on tables, inside a revision: `grant("SELECT, INSERT", "history")`."""
    attributes = context.config.attributes
    connection, schema = attributes["connection"], attributes["schema"]
    role = connection.dialect.identifier_preparer.quote(attributes["serving_role"])
    for table in tables:
        connection.execute(text(f'GRANT {privileges} ON "{schema}"."{table}" TO {role}'))


def fill(table: str, column: str, source: str, value_of: Callable[[str], str]) -> None:
    """Writes `value_of(source)` into a column of every row that has a source, inside a revision.

    For what only the code can work out, such as the form in which names are compared. The table's key is `id`.
    """
    attributes = context.config.attributes
    connection, name = attributes["connection"], f'"{attributes["schema"]}"."{table}"'
    after = None
    while True:
        begin = "" if after is None else "AND id > :after"
        # Every name that is put into these statements is written in a revision.
        found = connection.execute(
            text(f"SELECT id, {source} FROM {name} WHERE {source} IS NOT NULL {begin} ORDER BY id LIMIT :most"),  # noqa: S608
            {"most": _ROWS_AT_ONCE, **({} if after is None else {"after": after})},
        ).all()
        if not found:
            return
        after = found[-1][0]
        connection.execute(
            text(f"UPDATE {name} SET {column} = :value WHERE id = :id AND {column} IS DISTINCT FROM :value"),  # noqa: S608
            [{"id": key, "value": value_of(said)} for key, said in found],
        )
