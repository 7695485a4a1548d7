"""Calendars, contract types and contracts in versions; what clocks count in; windows that end in business days."""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0013"
down_revision = "tickets_0012"

STATEMENTS = (
    """
    CREATE TABLE tickets.calendars (
        id text NOT NULL, calendar_id text NOT NULL, version integer NOT NULL, name text NOT NULL,
        effective_from timestamptz, calendar jsonb NOT NULL, retired boolean NOT NULL, sequence bigint NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX calendars_by_version ON tickets.calendars (calendar_id, version)",
    """
    CREATE TABLE tickets.contract_types (
        id text NOT NULL, name text NOT NULL, version integer NOT NULL, terms jsonb NOT NULL,
        retired boolean NOT NULL, sequence bigint NOT NULL, PRIMARY KEY (id)
    )
    """,
    # What was agreed before is a first version with the usual windows, until its owner tells it anew.
    "ALTER TABLE tickets.contracts ADD COLUMN versions jsonb",
    """
    UPDATE tickets.contracts SET versions = jsonb_build_array(jsonb_build_object(
        'version', 1, 'effective_from', valid_from, 'contract_type', contract_type, 'valid_from', valid_from,
        'valid_until', valid_until, 'product_ids', product_ids, 'promised_s1_seconds', promised_s1_seconds,
        'reporting_calendar', 'comercial', 'reopen_days', 5, 'objection_days', 3))
    """,
    """
    ALTER TABLE tickets.contracts
        ALTER COLUMN versions SET NOT NULL,
        DROP COLUMN contract_type, DROP COLUMN valid_from, DROP COLUMN valid_until, DROP COLUMN product_ids,
        DROP COLUMN promised_s1_seconds
    """,
    # Clocks counted day and night.
    "ALTER TABLE tickets.clocks ADD COLUMN would_have_been_at timestamptz, ADD COLUMN counted_in jsonb",
    """
    UPDATE tickets.clocks SET counted_in = jsonb_build_array(jsonb_build_object(
        'from_at', started_at, 'calendar_id', '24x7', 'calendar_version', 1))
    """,
    "ALTER TABLE tickets.clocks ALTER COLUMN counted_in SET NOT NULL",
    # What was resolved before keeps what it was promised.
    """
    ALTER TABLE tickets.tickets
        DROP CONSTRAINT tickets_resolution,
        ADD COLUMN reopenable_until timestamptz,
        ADD COLUMN closes_at timestamptz
    """,
    """
    UPDATE tickets.tickets
       SET reopenable_until = resolved_at + interval '5 days',
           closes_at = CASE WHEN status = 'resolved' THEN resolved_at + interval '3 days' END
     WHERE resolved_at IS NOT NULL
    """,
    """
    ALTER TABLE tickets.tickets
        ADD CONSTRAINT tickets_resolution CHECK (
            num_nonnulls(resolution_code, resolution_text, resolved_at, reopenable_until) =
            CASE WHEN status IN ('resolved', 'closed') THEN 4 ELSE 0 END
            AND (closes_at IS NOT NULL) = (status = 'resolved'))
    """,
    "DROP INDEX tickets.tickets_to_close",
    "CREATE INDEX tickets_to_close ON tickets.tickets (closes_at, id) WHERE closes_at IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE", "calendars", "contract_types")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
