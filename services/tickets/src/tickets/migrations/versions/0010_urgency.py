"""Schemes of urgency, categories, resolution codes; what of them was shipped; what was derived for each ticket."""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0010"
down_revision = "tickets_0009"

_RECORD = "version integer NOT NULL, changed_at timestamptz NOT NULL, changed_by text NOT NULL, PRIMARY KEY (id)"
STATEMENTS = (
    f"""
    CREATE TABLE tickets.urgency_schemes (
        id text NOT NULL, valid_from timestamptz NOT NULL, terms jsonb NOT NULL, {_RECORD}
    )
    """,
    "CREATE UNIQUE INDEX urgency_schemes_by_begin ON tickets.urgency_schemes (valid_from)",
    f"""
    CREATE TABLE tickets.categories (
        id text NOT NULL, name text NOT NULL, name_key text NOT NULL, questions jsonb NOT NULL,
        retired boolean NOT NULL, {_RECORD}
    )
    """,
    "CREATE INDEX categories_by_name ON tickets.categories (name_key, id)",
    f"""
    CREATE TABLE tickets.resolution_codes (
        id text NOT NULL, name text NOT NULL, name_key text NOT NULL, retired boolean NOT NULL, {_RECORD}
    )
    """,
    "CREATE INDEX resolution_codes_by_name ON tickets.resolution_codes (name_key, id)",
    """
    CREATE TABLE tickets.shipped (
        noun text NOT NULL, id text NOT NULL, document jsonb NOT NULL, PRIMARY KEY (noun, id)
    )
    """,
    # What was agreed before named no product, so it is for whatever the client has.
    "ALTER TABLE tickets.contracts ADD COLUMN product_ids jsonb NOT NULL DEFAULT '[]'",
    # Of what was opened before nobody knows what would have followed: its urgency was said outright.
    """
    ALTER TABLE tickets.tickets
        ADD COLUMN impact jsonb NOT NULL DEFAULT '{"economic": null, "operational": null}',
        ADD COLUMN severity_derived integer,
        ADD COLUMN severity_reason text,
        ADD COLUMN priority_derived integer,
        ADD COLUMN priority_reason text,
        ADD COLUMN priority_rule text,
        ADD COLUMN urgency_scheme text,
        ADD COLUMN category text,
        ADD COLUMN answers jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN reopenings integer NOT NULL DEFAULT 0
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE", "urgency_schemes", "categories", "resolution_codes", "shipped")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
