"""The queue: one row for each open ticket, read by itself. What indexes of tickets are left is for closed ones.

A release before this one that still serves while this runs opens tickets without a row here: each gets its row with
the next thing that happens to it or to its clocks. So the older release is stopped first.
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0004"
down_revision = "tickets_0003"

TABLE = """
CREATE TABLE tickets.open_tickets (
    id uuid PRIMARY KEY,
    number text NOT NULL,
    title_key text NOT NULL,
    opened_at timestamptz NOT NULL,
    status text NOT NULL,
    client_id text NOT NULL,
    product_id text,
    module_id text,
    severity integer NOT NULL,
    priority integer NOT NULL,
    level integer NOT NULL,
    target text,
    assignee text,
    clocks text NOT NULL,
    due_kind text,
    due_at timestamptz,
    breached boolean NOT NULL,
    turn integer NOT NULL,
    turn_by bigint NOT NULL
)
"""

# The same as the repository's statement of this release, which may change later; this one may not.
FILL = """
INSERT INTO tickets.open_tickets
SELECT t.id, t.number, t.title_key, t.opened_at, t.status, t.client_id, t.product_id, t.module_id, t.severity,
       t.priority, t.level, t.target, t.assignee, c.clocks, c.due_kind, c.due_at, c.breached,
       CASE
           WHEN t.status = 'resolved' THEN 4
           WHEN c.clocks = 'pending' THEN 0
           WHEN c.clocks = 'running' AND t.severity = 1 AND t.priority = 1 THEN 1
           WHEN c.clocks = 'running' THEN 2
           WHEN c.clocks = 'paused' THEN 3
           ELSE 4
       END,
       CASE c.clocks
           WHEN 'paused' THEN COALESCE(c.left_seconds, 0)
           ELSE CAST(extract(epoch FROM COALESCE(c.due_at, t.opened_at)) * 1000000 AS bigint)
       END
  FROM tickets.tickets t
 CROSS JOIN LATERAL (
       SELECT CASE
                  WHEN count(*) = 0 THEN 'pending'
                  WHEN bool_or(k.course = 'running' AND k.due_at IS NOT NULL) THEN 'running'
                  WHEN bool_or(k.course = 'paused') THEN 'paused'
                  ELSE 'ended'
              END AS clocks,
              min(k.due_at) FILTER (WHERE k.course = 'running') AS due_at,
              (array_agg(k.kind ORDER BY k.due_at, k.id) FILTER (WHERE k.course = 'running'))[1] AS due_kind,
              COALESCE((array_agg(k.breached_at IS NOT NULL ORDER BY k.due_at, k.id)
                  FILTER (WHERE k.course = 'running'))[1], false) AS breached,
              min(k.remaining_seconds) FILTER (WHERE k.course = 'paused') AS left_seconds
         FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.course IS NOT NULL) c
 WHERE t.status <> 'closed'
"""

# A trusted extension: whoever owns the database may create it. It belongs to the schema of the service.
STATEMENTS = (
    TABLE,
    FILL,
    "CREATE INDEX open_tickets_by_turn ON tickets.open_tickets (turn, turn_by, severity, priority, id)",
    "CREATE INDEX open_tickets_by_opening ON tickets.open_tickets (opened_at, id)",
    "CREATE INDEX open_tickets_by_client ON tickets.open_tickets (client_id, opened_at, id)",
    "CREATE INDEX open_tickets_by_assignee ON tickets.open_tickets (assignee, opened_at, id) "
    "WHERE assignee IS NOT NULL",
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX closed_by_title ON tickets.tickets USING gin (title_key gin_trgm_ops) WITH (fastupdate = off) "
    "WHERE status = 'closed'",
    "CREATE INDEX closed_by_opening ON tickets.tickets (opened_at, id) WHERE status = 'closed'",
    "CREATE INDEX closed_by_client ON tickets.tickets (client_id, opened_at, id) WHERE status = 'closed'",
    "CREATE INDEX closed_by_assignee ON tickets.tickets (assignee, opened_at, id) WHERE status = 'closed'",
    "DROP INDEX tickets.tickets_by_opening, tickets.tickets_by_client, tickets.tickets_by_status, "
    "tickets.tickets_by_assignee",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE, DELETE", "open_tickets")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
