"""Who works here: people, teams with what they cover, rotas."""

from __future__ import annotations

from sqlalchemy import Index, Table

from shared.db.columns import document, text
from tickets.tables.columns import flag, integer, metadata, record

# Who works here. `name` is null while no token has said it; the key of the id stands in for it.
people = Table(
    "people",
    metadata,
    text("id", primary_key=True),
    text("name", nullable=True),
    text("name_key"),
    document("roles"),
    text("state"),
    text("mail", nullable=True),
    text("telephone", nullable=True),
    text("language"),
    document("absences"),
    *record(),
)
Index("people_by_name", people.c.name_key, people.c.id)

teams = Table(
    "teams",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    integer("level", nullable=True),
    text("target", nullable=True),
    text("lead", nullable=True),
    document("members"),
    document("covers"),
    flag("retired"),
    *record(),
)
Index("teams_by_name", teams.c.name_key, teams.c.id)
Index("teams_by_member", teams.c.members, postgresql_using="gin", postgresql_ops={"members": "jsonb_path_ops"})

# One row for each pattern of each team in use, so that a ticket finds its team by an index. Equal ones cannot be.
coverages = Table(
    "coverages",
    metadata,
    text("team_id"),
    text("target"),
    *(text(name, nullable=True) for name in ("client_id", "product_id", "module_id")),
)
Index(
    "coverages_by_pattern",
    coverages.c.target,
    coverages.c.client_id,
    coverages.c.module_id,
    coverages.c.product_id,
    unique=True,
    postgresql_nulls_not_distinct=True,
)

rotas = Table(
    "rotas",
    metadata,
    text("id", primary_key=True),
    text("team_id"),
    text("zone"),
    document("shifts"),
    document("overrides"),
    flag("retired"),
    *record(),
)
Index("rotas_by_team", rotas.c.team_id, rotas.c.id)
