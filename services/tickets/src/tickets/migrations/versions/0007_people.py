"""People, teams, what teams cover, and rotas; the team of a ticket in the queue."""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0007"
down_revision = "tickets_0006"

TABLES = """
CREATE TABLE tickets.people (
    id text NOT NULL,
    name text,
    name_key text NOT NULL,
    roles jsonb NOT NULL,
    state text NOT NULL,
    mail text,
    telephone text,
    language text NOT NULL,
    absences jsonb NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX people_by_name ON tickets.people (name_key, id);
CREATE TABLE tickets.teams (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    level integer,
    target text,
    lead text,
    members jsonb NOT NULL,
    covers jsonb NOT NULL,
    retired boolean NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX teams_by_name ON tickets.teams (name_key, id);
CREATE INDEX teams_by_member ON tickets.teams USING gin (members jsonb_path_ops);
CREATE TABLE tickets.coverages (
    team_id text NOT NULL,
    target text NOT NULL,
    client_id text,
    product_id text,
    module_id text
);
CREATE UNIQUE INDEX coverages_by_pattern
    ON tickets.coverages (target, client_id, module_id, product_id) NULLS NOT DISTINCT;
CREATE TABLE tickets.rotas (
    id text NOT NULL,
    team_id text NOT NULL,
    zone text NOT NULL,
    shifts jsonb NOT NULL,
    overrides jsonb NOT NULL,
    retired boolean NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX rotas_by_team ON tickets.rotas (team_id, id);
ALTER TABLE tickets.open_tickets ADD COLUMN team text;
CREATE INDEX open_tickets_by_team ON tickets.open_tickets (team, opened_at, id);
CREATE INDEX ended_by_team ON tickets.tickets (team, opened_at, id) WHERE status IN ('closed', 'cancelled')
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE", "people", "teams", "rotas")
    # What is covered follows from the teams: a team that covers something else loses what it covered.
    grant("SELECT, INSERT, DELETE", "coverages")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
