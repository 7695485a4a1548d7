"""What a consumer knows of the logs that it reads, refuses and passes over."""

from alembic import op

from shared.db.alembic_env import grant

revision = "runtime_0004"
down_revision = "runtime_0003"

TABLES = """
ALTER TABLE runtime.offsets
    ADD COLUMN newest_at BIGINT, ADD COLUMN dated_below BIGINT, ADD COLUMN generation INTEGER DEFAULT 0 NOT NULL;
CREATE TABLE runtime.refused_logs (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    stored_offset BIGINT NOT NULL,
    why TEXT NOT NULL,
    shows TEXT NOT NULL,
    found_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE runtime.skipped_types (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    type TEXT NOT NULL,
    first_offset BIGINT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (topic, partition, type)
);
CREATE TABLE runtime.accepted_skips (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    type TEXT NOT NULL,
    first_offset BIGINT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (topic, partition, type, accepted_at)
);
CREATE TABLE runtime.halts (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    lacking INTEGER NOT NULL,
    halted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE runtime.allowances (
    id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    topic TEXT NOT NULL,
    granted INTEGER NOT NULL,
    unspent INTEGER NOT NULL,
    reason TEXT NOT NULL,
    granted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX allowances_unspent ON runtime.allowances (topic, id) WHERE unspent > 0;
ALTER TABLE runtime.parked ADD COLUMN erased_at TIMESTAMP WITH TIME ZONE;
CREATE INDEX parked_to_erase ON runtime.parked (ended_at) WHERE state <> 'waiting' AND erased_at IS NULL;
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    grant("SELECT, INSERT, UPDATE, DELETE", "refused_logs", "skipped_types", "halts")
    grant("SELECT, INSERT, UPDATE", "allowances")
    grant("SELECT, INSERT", "accepted_skips")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
