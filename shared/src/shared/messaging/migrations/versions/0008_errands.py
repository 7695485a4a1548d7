"""Errands are counted and forgotten by an index; attempts that do not count towards the most that are made."""

from alembic import op

revision = "runtime_0008"
down_revision = "runtime_0007"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX errands_standing ON runtime.errands (kind, state) "
        "WHERE state IN ('waiting', 'running', 'given-up')"
    )
    op.execute("CREATE INDEX errands_ended ON runtime.errands (ended_at) WHERE state IN ('done', 'discarded')")
    op.execute("ALTER TABLE runtime.errands ADD COLUMN uncounted INTEGER DEFAULT 0 NOT NULL")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
