"""The tickets service's own tables, in the PostgreSQL schema `tickets`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
)
from sqlalchemy import text as sql

from shared.db.columns import document, instant, position, text, uuid

metadata = MetaData(schema="tickets")

# Numbers are said on the telephone. A number is never used twice; gaps are normal.
ticket_number = Sequence("ticket_number", metadata=metadata)


def _integer(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=nullable)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _texts(name: str) -> Column[Any]:
    return Column(name, ARRAY(Text), nullable=False, server_default="{}")


def _sequence(name: str = "sequence") -> Column[int]:
    """The owner's sequence of the event that last wrote the columns before it."""
    return Column(name, BigInteger, nullable=False)


tickets = Table(
    "tickets",
    metadata,
    uuid("id", primary_key=True),
    text("number", unique=True),
    _integer("version"),
    text("status"),
    text("kind"),
    text("client_id"),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
    text("installation_id", nullable=True),
    _integer("severity"),
    _flag("severity_to_review"),
    _integer("priority"),
    text("title"),
    text("title_key"),
    text("description"),
    text("reporter", nullable=True),
    text("channel"),
    instant("reported_at"),
    text("reported_late_reason", nullable=True),
    instant("opened_at"),
    text("opened_by"),
    # The instant of its latest own fact, so that the next one comes after it.
    instant("last_fact_at"),
    # Since when the work runs, rests or is done as it does.
    instant("course_at"),
    text("owner"),
    # The version at which product, module and installation came to be what they are.
    Column("classification", Integer, nullable=False, server_default="1"),
    _integer("level"),
    text("target", nullable=True),
    text("team", nullable=True),
    text("assignee", nullable=True),
    document("participants", server_default="[]"),
    # Who had it last on each level that it has left.
    document("last_hands", server_default="{}"),
    document("attention", server_default="[]"),
    text("hold_reason", nullable=True),
    text("hold_note", nullable=True),
    instant("held_at", nullable=True),
    instant("wake_at", nullable=True),
    instant("first_responded_at", nullable=True),
    text("resolution_code", nullable=True),
    text("resolution_text", nullable=True),
    instant("resolved_at", nullable=True),
    instant("closed_at", nullable=True),
    instant("cancelled_at", nullable=True),
)
# What a job looks for: holds that end by themselves, and what was resolved long ago.
Index("tickets_to_wake", tickets.c.wake_at, tickets.c.id, postgresql_where=sql("wake_at IS NOT NULL"))
# What was closed and calls its owner nevertheless: a fix has come out that the client has to hear of.
Index("tickets_that_call", tickets.c.owner, postgresql_where=sql("status = 'closed' AND attention <> '[]'"))
Index("tickets_to_close", tickets.c.resolved_at, tickets.c.id, postgresql_where=sql("status = 'resolved'"))
# Open tickets are few and are read where they stand in the queue, so opening one pays for none of these.
_ENDED = sql("status IN ('closed', 'cancelled')")
Index("ended_by_opening", tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_client", tickets.c.client_id, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_assignee", tickets.c.assignee, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_team", tickets.c.team, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
# Few among so many closed ones: a list of them alone would read all of those.
Index("cancelled_by_opening", tickets.c.opened_at, tickets.c.id, postgresql_where=sql("status = 'cancelled'"))
Index(
    "ended_by_title",
    tickets.c.title_key,
    postgresql_using="gin",
    postgresql_ops={"title_key": "gin_trgm_ops"},
    # What would wait in a list of its own every search would read whole, until some closing had to sort it in.
    postgresql_with={"fastupdate": "off"},
    postgresql_where=_ENDED,
)

# One row for each open ticket: what the queue is narrowed to and sorted by. Computed from ticket and clocks by the one
# statement of repository.py; nothing else writes it. `turn` and `turn_by` are the place in the queue.
open_tickets = Table(
    "open_tickets",
    metadata,
    uuid("id", primary_key=True),
    text("number"),
    text("title_key"),
    instant("opened_at"),
    text("status"),
    text("client_id"),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
    _integer("severity"),
    _integer("priority"),
    _integer("level"),
    text("target", nullable=True),
    text("owner"),
    text("assignee", nullable=True),
    # Who works on it beside its assignee, and which of owner, assignee and team it calls.
    _texts("working"),
    _texts("calls"),
    text("clocks"),
    text("due_kind", nullable=True),
    instant("due_at", nullable=True),
    _flag("breached"),
    _integer("turn"),
    Column("turn_by", BigInteger, nullable=False),
    text("team", nullable=True),
    text("installation_id", nullable=True),
)
Index(
    "open_tickets_by_turn",
    open_tickets.c.turn,
    open_tickets.c.turn_by,
    open_tickets.c.severity,
    open_tickets.c.priority,
    open_tickets.c.id,
)
Index("open_tickets_by_owner", open_tickets.c.owner)
Index("open_tickets_by_working", open_tickets.c.working, postgresql_using="gin")
Index("open_tickets_by_opening", open_tickets.c.opened_at, open_tickets.c.id)
Index("open_tickets_by_client", open_tickets.c.client_id, open_tickets.c.opened_at, open_tickets.c.id)
Index(
    "open_tickets_by_assignee",
    open_tickets.c.assignee,
    open_tickets.c.opened_at,
    open_tickets.c.id,
    postgresql_where=sql("assignee IS NOT NULL"),
)
Index("open_tickets_by_team", open_tickets.c.team, open_tickets.c.opened_at, open_tickets.c.id)

# What two tickets have to do with each other; one that has ended stays. What is related has the lesser id first.
links = Table(
    "links",
    metadata,
    uuid("id", primary_key=True),
    text("kind"),
    uuid("from_id"),
    uuid("to_id"),
    instant("linked_at"),
    text("linked_by"),
    text("reason", nullable=True),
    instant("unlinked_at", nullable=True),
    text("unlinked_by", nullable=True),
)
_IS = sql("unlinked_at IS NULL")
Index("links_once", links.c.from_id, links.c.to_id, links.c.kind, unique=True, postgresql_where=_IS)
_REPEATS = sql("kind = 'duplicate_of' AND unlinked_at IS NULL")
Index("links_of_duplicates", links.c.from_id, unique=True, postgresql_where=_REPEATS)
Index("links_by_target", links.c.to_id, postgresql_where=_IS)

# Everything that ever happened to a ticket, from whichever service. The serving role can add and read, nothing else.
history = Table(
    "history",
    metadata,
    position(),
    uuid("ticket_id"),
    uuid("fact_id", unique=True),
    text("type"),
    text("source"),
    instant("occurred_at"),
    instant("recorded_at"),
    text("actor"),
    text("origin"),
    text("correlation_id"),
    text("causation_id", nullable=True),
    uuid("corrects", nullable=True),
    # Each part of the ticket that the fact changed: what it was, what it is. Null for an opening and what others did.
    document("changes", nullable=True),
    document("data"),
)
Index("history_by_ticket", history.c.ticket_id, history.c.position)


def _record() -> tuple[Column[int], Column[Any], Column[str]]:
    """What every record of reference data has."""
    return _integer("version"), instant("changed_at"), text("changed_by")


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
    *_record(),
)
Index("people_by_name", people.c.name_key, people.c.id)

teams = Table(
    "teams",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    _integer("level", nullable=True),
    text("target", nullable=True),
    text("lead", nullable=True),
    document("members"),
    document("covers"),
    _flag("retired"),
    *_record(),
)
Index("teams_by_name", teams.c.name_key, teams.c.id)
Index("teams_by_member", teams.c.members, postgresql_using="gin", postgresql_ops={"members": "jsonb_path_ops"})

# One row for each pattern of each team in use, so that a ticket finds its team by an index. Equal ones cannot be.
coverages = Table(
    "coverages",
    metadata,
    text("team_id"),
    text("target"),
    text("client_id", nullable=True),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
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
    _flag("retired"),
    *_record(),
)
Index("rotas_by_team", rotas.c.team_id, rotas.c.id)

# Replicas of the compacted topics. No foreign keys: a contract may arrive before its client.
clients = Table(
    "clients",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("name_key"),
    text("tax_id", nullable=True),
    text("tax_key", nullable=True),
    text("tier"),
    text("city", nullable=True),
    text("contact", nullable=True),
    text("phone", nullable=True),
    _flag("retired"),
    _sequence(),
)
Index("clients_by_name", clients.c.name_key, clients.c.id)

products = Table("products", metadata, text("id", primary_key=True), text("name"), _flag("retired"), _sequence())

modules = Table(
    "modules",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("product_id"),
    text("nature"),
    text("client_id", nullable=True),
    _flag("retired"),
    _sequence(),
)

installations = Table(
    "installations",
    metadata,
    text("id", primary_key=True),
    text("client_id"),
    text("product_id"),
    text("product_version"),
    document("modules"),
    _flag("retired"),
    _sequence(),
)
Index("installations_by_client", installations.c.client_id)

contracts = Table(
    "contracts",
    metadata,
    text("id", primary_key=True),
    text("client_id"),
    text("contract_type"),
    instant("valid_from"),
    instant("valid_until", nullable=True),
    _integer("promised_s1_seconds", nullable=True),
    _flag("retired"),
    _sequence(),
)
Index("contracts_by_client", contracts.c.client_id)

# What the other services found out about a ticket. Never touches the ticket's own row or version.
environments = Table(
    "environments",
    metadata,
    uuid("ticket_id"),
    text("state"),
    document("data"),
    _sequence(),
    _integer("classification"),
    PrimaryKeyConstraint("ticket_id", "classification"),
)

clocks = Table(
    "clocks",
    metadata,
    uuid("id", primary_key=True),
    uuid("ticket_id"),
    text("kind"),
    _integer("cycle"),
    text("course"),
    text("outcome"),
    text("contract_id", nullable=True),
    _integer("contract_version"),
    _integer("target_seconds"),
    _integer("elapsed_seconds"),
    instant("started_at"),
    instant("since"),
    instant("due_at", nullable=True),
    text("pause_reason", nullable=True),
    text("warned_as", nullable=True),
    instant("breached_at", nullable=True),
    _sequence(),
)
Index("clocks_by_ticket", clocks.c.ticket_id)

tasks = Table(
    "tasks",
    metadata,
    uuid("id"),
    uuid("ticket_id"),
    uuid("escalation_id"),
    text("tracker"),
    text("external_id"),
    text("display_id"),
    text("url"),
    text("status"),
    instant("status_at"),
    text("tracker_status"),
    text("declined_reason", nullable=True),
    text("fix_version", nullable=True),
    _sequence(),
    PrimaryKeyConstraint("ticket_id", "id"),
)
