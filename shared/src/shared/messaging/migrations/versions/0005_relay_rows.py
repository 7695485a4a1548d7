"""Rows that wait for a topic or behind another leave the relay's way; a restored database is moved on.

An older relay knows neither the new name nor the rows that wait, so the older release is stopped first.
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "runtime_0005"
down_revision = "runtime_0004"

TABLES = """
ALTER TABLE runtime.unsendable RENAME TO blocked_rows;
ALTER INDEX runtime.unsendable_pkey RENAME TO blocked_rows_pkey;
CREATE TABLE runtime.withheld (
    position BIGINT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (position)
);
CREATE INDEX withheld_by_key ON runtime.withheld (topic, key, position);
CREATE TABLE runtime.advanced (
    past BIGINT NOT NULL,
    unknown_events INTEGER NOT NULL,
    advanced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (past)
)
"""

# As the owner, because the serving role may not change the archive. What was written since the restore and not sent
# takes a new position behind everything that was published, in its order. Positions only ever go forward.
ADVANCE = """
CREATE FUNCTION runtime.advance_position(beyond BIGINT, unknown_events INTEGER, at TIMESTAMP WITH TIME ZONE)
RETURNS INTEGER LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    waiting BIGINT;
    moved BIGINT;
    many INTEGER := 0;
    numbers TEXT := pg_get_serial_sequence('runtime.archive', 'position');
BEGIN
    LOCK TABLE runtime.archive, runtime.outbox IN EXCLUSIVE MODE;
    PERFORM setval(numbers, greatest(beyond, (SELECT coalesce(max(position), 1) FROM runtime.archive)));
    FOR waiting IN
        SELECT position FROM runtime.outbox UNION ALL SELECT position FROM runtime.withheld ORDER BY position
    LOOP
        UPDATE runtime.archive SET position = DEFAULT WHERE position = waiting RETURNING position INTO moved;
        UPDATE runtime.outbox SET position = moved WHERE position = waiting;
        UPDATE runtime.withheld SET position = moved WHERE position = waiting;
        UPDATE runtime.blocked_rows SET position = moved WHERE position = waiting;
        many := many + 1;
    END LOOP;
    INSERT INTO runtime.advanced (past, unknown_events, advanced_at) VALUES (beyond, unknown_events, at)
    ON CONFLICT DO NOTHING;
    RETURN many;
END $$
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    op.execute(ADVANCE)
    grant("SELECT, INSERT, UPDATE, DELETE", "withheld")
    grant("SELECT", "advanced")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
