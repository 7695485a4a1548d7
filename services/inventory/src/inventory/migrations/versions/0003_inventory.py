"""Clients, products, modules, installations, the environment frozen on each ticket, and every ticket as it is now.

The history of this schema begins here: nothing was promised before the first production (decision 0015).
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "inventory_0003"
down_revision = None

TABLES = """
CREATE TABLE inventory.clients (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    tax_id text,
    tier text NOT NULL,
    city text,
    contact text,
    phone text,
    retired boolean DEFAULT false NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX clients_by_name ON inventory.clients (name_key, id);
CREATE TABLE inventory.environments (
    ticket_id uuid NOT NULL,
    fact_id uuid NOT NULL,
    client_id text,
    type text NOT NULL,
    snapshot jsonb NOT NULL,
    taken_at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id),
    UNIQUE (fact_id)
);
CREATE TABLE inventory.products (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    retired boolean DEFAULT false NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX products_by_name ON inventory.products (name_key, id);
CREATE TABLE inventory.tickets (
    id uuid NOT NULL,
    brief jsonb NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE inventory.installations (
    id text NOT NULL,
    client_id text NOT NULL,
    product_id text NOT NULL,
    product_version text NOT NULL,
    site text,
    retired boolean DEFAULT false NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT installations_client FOREIGN KEY(client_id) REFERENCES inventory.clients (id),
    CONSTRAINT installations_product FOREIGN KEY(product_id) REFERENCES inventory.products (id)
);
CREATE INDEX installations_of_client ON inventory.installations (client_id);
CREATE INDEX installations_of_product ON inventory.installations (product_id);
CREATE TABLE inventory.modules (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    product_id text NOT NULL,
    nature text NOT NULL,
    client_id text,
    retired boolean DEFAULT false NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT modules_nature CHECK ((nature = 'customised') = (client_id IS NOT NULL)),
    CONSTRAINT modules_product FOREIGN KEY(product_id) REFERENCES inventory.products (id),
    CONSTRAINT modules_client FOREIGN KEY(client_id) REFERENCES inventory.clients (id)
);
CREATE INDEX modules_by_name ON inventory.modules (name_key, id);
CREATE INDEX modules_of_client ON inventory.modules (client_id);
CREATE INDEX modules_of_product ON inventory.modules (product_id);
CREATE TABLE inventory.installation_modules (
    installation_id text NOT NULL,
    module_id text NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (installation_id, module_id),
    CONSTRAINT installation_modules_installation FOREIGN KEY(installation_id) REFERENCES inventory.installations (id),
    CONSTRAINT installation_modules_module FOREIGN KEY(module_id) REFERENCES inventory.modules (id)
);
CREATE INDEX installation_modules_of_module ON inventory.installation_modules (module_id)
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    # Records are retired, never deleted; only the list of an installation's modules loses rows.
    grant("SELECT, INSERT, UPDATE", "clients", "products", "modules", "installations", "tickets")
    grant("SELECT, INSERT, UPDATE, DELETE", "installation_modules")
    # What was frozen on a ticket stays as it was.
    grant("SELECT, INSERT", "environments")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
