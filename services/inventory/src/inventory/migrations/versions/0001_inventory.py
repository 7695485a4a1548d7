"""Clients, products, modules, installations, and the environment frozen on each ticket."""

from alembic import op

from shared.db.alembic_env import grant

revision = "inventory_0001"
down_revision = None

# What every record of reference data has.
RECORDED = """
    retired boolean NOT NULL DEFAULT false,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL
"""

TABLES = (
    f"""
    CREATE TABLE inventory.clients (
        id text PRIMARY KEY,
        name text NOT NULL,
        name_key text NOT NULL,
        tax_id text,
        tier text NOT NULL,
        city text,
        contact text,
        phone text,
        {RECORDED}
    )
    """,
    "CREATE INDEX clients_by_name ON inventory.clients (name_key, id)",
    f"""
    CREATE TABLE inventory.products (
        id text PRIMARY KEY,
        name text NOT NULL,
        name_key text NOT NULL,
        {RECORDED}
    )
    """,
    "CREATE INDEX products_by_name ON inventory.products (name_key, id)",
    f"""
    CREATE TABLE inventory.modules (
        id text PRIMARY KEY,
        name text NOT NULL,
        name_key text NOT NULL,
        product_id text NOT NULL CONSTRAINT modules_product REFERENCES inventory.products,
        nature text NOT NULL,
        client_id text CONSTRAINT modules_client REFERENCES inventory.clients,
        {RECORDED},
        CONSTRAINT modules_nature CHECK ((nature = 'customised') = (client_id IS NOT NULL))
    )
    """,
    "CREATE INDEX modules_by_name ON inventory.modules (name_key, id)",
    "CREATE INDEX modules_of_product ON inventory.modules (product_id)",
    "CREATE INDEX modules_of_client ON inventory.modules (client_id)",
    f"""
    CREATE TABLE inventory.installations (
        id text PRIMARY KEY,
        client_id text NOT NULL CONSTRAINT installations_client REFERENCES inventory.clients,
        product_id text NOT NULL CONSTRAINT installations_product REFERENCES inventory.products,
        product_version text NOT NULL,
        site text,
        {RECORDED}
    )
    """,
    "CREATE INDEX installations_of_client ON inventory.installations (client_id)",
    "CREATE INDEX installations_of_product ON inventory.installations (product_id)",
    """
    CREATE TABLE inventory.installation_modules (
        installation_id text NOT NULL
            CONSTRAINT installation_modules_installation REFERENCES inventory.installations,
        module_id text NOT NULL CONSTRAINT installation_modules_module REFERENCES inventory.modules,
        version text NOT NULL,
        PRIMARY KEY (installation_id, module_id)
    )
    """,
    "CREATE INDEX installation_modules_of_module ON inventory.installation_modules (module_id)",
    """
    CREATE TABLE inventory.environments (
        ticket_id uuid PRIMARY KEY,
        fact_id uuid NOT NULL UNIQUE,
        client_id text NOT NULL,
        type text NOT NULL,
        snapshot jsonb NOT NULL,
        taken_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    # Records are retired, never deleted; only the list of an installation's modules loses rows.
    grant("SELECT, INSERT, UPDATE", "clients", "products", "modules", "installations")
    grant("SELECT, INSERT, UPDATE, DELETE", "installation_modules")
    # What was frozen on a ticket stays as it was.
    grant("SELECT, INSERT", "environments")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
