"""A parked message is known by its place and its event: a topic that was made anew has the old places once more."""

from alembic import op

revision = "runtime_0002"
down_revision = "runtime_0001"


def upgrade() -> None:
    op.execute("DROP INDEX runtime.parked_once")
    op.execute(
        'CREATE UNIQUE INDEX parked_once ON runtime.parked (topic, partition, "offset", event_id) NULLS NOT DISTINCT'
    )


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
