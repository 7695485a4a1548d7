"""What was warned of a clock is said as the contract says it: `50%`, and one day `30min before`.

A release before this one asks for a column that is no longer there. So the older release is stopped first.
"""

from alembic import op

revision = "tickets_0005"
down_revision = "tickets_0004"


def upgrade() -> None:
    op.execute("ALTER TABLE tickets.clocks ALTER COLUMN warned_percent TYPE text USING warned_percent || '%'")
    op.execute("ALTER TABLE tickets.clocks RENAME COLUMN warned_percent TO warned_as")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
