"""A clock that is over is "ended": "stopped" is what the event of those that ended too late is called.

A release before this one that still consumes while this runs goes on writing the former word, and a clock that has it
would tell its end once more with the next fact. So the older release is stopped first.
"""

from alembic import op

revision = "sla_0002"
down_revision = "sla_0001"


def upgrade() -> None:
    op.execute("UPDATE sla.clocks SET state = 'ended' WHERE state = 'stopped'")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
