"""The runtime's tables as first released. Written out, because a revision must never change with the code."""

from alembic import op

from shared.db.alembic_env import grant

revision = "runtime_0001"
down_revision = None

TABLES = """
CREATE TABLE runtime.archive (
    position BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    id UUID NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    origin TEXT NOT NULL,
    actor TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id TEXT,
    traceparent TEXT,
    value BYTEA NOT NULL,
    PRIMARY KEY (position),
    UNIQUE (id)
);
CREATE TABLE runtime.blocked_keys (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    blocked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
    gave_up BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (topic, key)
);
CREATE TABLE runtime.cluster (
    id TEXT NOT NULL,
    adopted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE runtime.idempotency (
    caller TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    request_digest BYTEA NOT NULL,
    status INTEGER NOT NULL,
    headers JSONB NOT NULL,
    body BYTEA NOT NULL,
    answered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_by_age ON runtime.idempotency (answered_at);
CREATE TABLE runtime.inbox (
    id UUID NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX inbox_by_age ON runtime.inbox (applied_at);
CREATE TABLE runtime.offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE runtime.outbox (
    position BIGINT NOT NULL,
    PRIMARY KEY (position)
);
CREATE TABLE runtime.parked (
    id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    key TEXT NOT NULL,
    event_id UUID,
    type TEXT,
    headers BYTEA NOT NULL,
    raw_key BYTEA,
    value BYTEA,
    reason TEXT NOT NULL,
    problem TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    parked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    ended_because TEXT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX parked_once ON runtime.parked (topic, partition, "offset");
CREATE INDEX parked_waiting ON runtime.parked (topic, key, id) WHERE state = 'waiting';
CREATE TABLE runtime.replicas (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    target_offset BIGINT NOT NULL,
    filled_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE runtime.unsendable (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    position BIGINT NOT NULL,
    problem TEXT NOT NULL,
    found_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (topic, key)
);
-- The outbox is small and hot: vacuum by number of dead rows, never by share of the table.
ALTER TABLE runtime.outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""

# Locks an idempotency key until the transaction ends and looks for its answer, in one round trip. Each statement of a
# function sees what was committed before it began: whoever gets the lock also sees the answer of whoever had it.
RECALL_ANSWER = """
CREATE FUNCTION runtime.recall_answer(of_caller TEXT, of_route TEXT, of_key TEXT)
RETURNS TABLE (locked BOOLEAN, request_digest BYTEA, status INTEGER, headers JSONB, body BYTEA)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    locked := pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\\x1f', of_caller, of_route, of_key), 0));
    SELECT i.request_digest, i.status, i.headers, i.body INTO request_digest, status, headers, body
    FROM runtime.idempotency i WHERE i.caller = of_caller AND i.route = of_route AND i.key = of_key;
    RETURN NEXT;
END $$
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    op.execute(RECALL_ANSWER)
    grant("SELECT, INSERT", "archive")
    grant(
        "SELECT, INSERT, UPDATE, DELETE",
        "outbox",
        "unsendable",
        "inbox",
        "offsets",
        "cluster",
        "replicas",
        "parked",
        "blocked_keys",
        "idempotency",
    )


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
