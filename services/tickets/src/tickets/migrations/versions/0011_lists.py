"""Lists: whatever a queue is narrowed to has its column in it; ended tickets are found by more than they were."""

from alembic import op

revision = "tickets_0011"
down_revision = "tickets_0010"

ENDED = "WHERE status IN ('closed', 'cancelled')"
STATEMENTS = (
    "ALTER TABLE tickets.open_tickets RENAME COLUMN breached TO due_breached",
    """
    ALTER TABLE tickets.open_tickets
        DROP COLUMN working,
        ADD COLUMN parts text[] NOT NULL DEFAULT '{}',
        ADD COLUMN kind text,
        ADD COLUMN hold_reason text,
        ADD COLUMN reported_at timestamptz,
        ADD COLUMN last_fact_at timestamptz,
        ADD COLUMN breached boolean
    """,
    # What waits for its clocks is in two parts now: what must not wait at all, and the rest.
    """
    UPDATE tickets.open_tickets o
       SET kind = t.kind, hold_reason = t.hold_reason, reported_at = t.reported_at, last_fact_at = t.last_fact_at,
           parts = ARRAY(SELECT (p ->> 'role') || ':' || (p ->> 'person_id')
                           FROM jsonb_array_elements(t.participants) p ORDER BY 1),
           breached = EXISTS (SELECT FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.breached_at IS NOT NULL),
           turn = CASE WHEN o.turn = 0 AND t.severity = 1 AND t.priority = 1 THEN 0 ELSE o.turn + 1 END
      FROM tickets.tickets t WHERE t.id = o.id
    """,
    """
    ALTER TABLE tickets.open_tickets
        ALTER COLUMN kind SET NOT NULL,
        ALTER COLUMN reported_at SET NOT NULL,
        ALTER COLUMN last_fact_at SET NOT NULL,
        ALTER COLUMN breached SET NOT NULL
    """,
    "CREATE INDEX open_tickets_by_part ON tickets.open_tickets USING gin (parts)",
    "CREATE INDEX clocks_that_ran_out ON tickets.clocks (ticket_id) WHERE breached_at IS NOT NULL",
    f"CREATE INDEX ended_by_owner ON tickets.tickets (owner, opened_at, id) {ENDED}",
    f"CREATE INDEX ended_by_module ON tickets.tickets (module_id, opened_at, id) {ENDED}",
    f"CREATE INDEX ended_by_change ON tickets.tickets (last_fact_at) {ENDED}",
    f"CREATE INDEX ended_by_closing ON tickets.tickets (closed_at) {ENDED}",
    f"CREATE INDEX ended_by_participant ON tickets.tickets USING gin (participants jsonb_path_ops) {ENDED}",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
