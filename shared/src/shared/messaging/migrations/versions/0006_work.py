"""Work that calls out, and work that was set aside so that the rest could go on."""

from alembic import op

from shared.db.alembic_env import grant

revision = "runtime_0006"
down_revision = "runtime_0005"

TABLES = """
CREATE TABLE runtime.errands (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    wanted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    problem TEXT,
    PRIMARY KEY (kind, key)
);
CREATE INDEX errands_due ON runtime.errands (kind, due_at) WHERE state IN ('waiting', 'running');
CREATE INDEX errands_given_up ON runtime.errands (ended_at) WHERE state = 'given-up';
CREATE TABLE runtime.set_aside (
    job TEXT NOT NULL,
    key TEXT NOT NULL,
    problem TEXT NOT NULL,
    times INTEGER DEFAULT 1 NOT NULL,
    set_aside_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (job, key)
)
"""


def upgrade() -> None:
    op.execute("ALTER TABLE runtime.blocked_keys ADD COLUMN imported BOOLEAN DEFAULT false NOT NULL")
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE, DELETE", "errands", "set_aside")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
