"""What every `migrations/env.py` does: run the revisions on the connection that `migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text


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
