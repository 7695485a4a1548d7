"""Tickets: each of them, the queue, the history, and what the other services found out."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Sequence,
    Table,
)
from sqlalchemy import text as sql

from shared.db.columns import document, instant, position, text, uuid
from tickets.domain.states import CONDITIONS
from tickets.tables.columns import flag, integer, metadata, sequence, texts

# Numbers are said on the telephone. A number is never used twice; gaps are normal.
ticket_number = Sequence("ticket_number", metadata=metadata)


tickets = Table(
    "tickets",
    metadata,
    uuid("id", primary_key=True),
    text("number", unique=True),
    integer("version"),
    text("status"),
    text("kind"),
    text("client_id"),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
    text("installation_id", nullable=True),
    integer("severity"),
    flag("severity_to_review"),
    integer("priority"),
    text("title"),
    text("title_key"),
    text("description"),
    text("reporter", nullable=True),
    text("channel"),
    instant("reported_at"),
    text("reported_late_reason", nullable=True),
    # What the caller answered, what followed from it, and why another urgency was chosen. Null before impact was asked.
    document("impact", server_default=sql("""'{"economic": null, "operational": null}'""")),
    *(integer(f"{what}_derived", nullable=True) for what in ("severity", "priority")),
    *(text(f"{what}_reason", nullable=True) for what in ("severity", "priority")),
    *(text(name, nullable=True) for name in ("priority_rule", "urgency_scheme", "category")),
    document("answers", server_default="[]"),
    Column("reopenings", Integer, nullable=False, server_default="0"),
    instant("opened_at"),
    text("opened_by"),
    # The instant of its latest own fact, so that the next one comes after it.
    instant("last_fact_at"),
    # Since when the work runs, rests or is done as it does.
    instant("course_at"),
    text("owner"),
    # The version at which product, module and installation came to be what they are.
    Column("classification", Integer, nullable=False, server_default="1"),
    integer("level"),
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
    instant("reopenable_until", nullable=True),
    # Only while it is resolved.
    instant("closes_at", nullable=True),
    instant("closed_at", nullable=True),
    instant("cancelled_at", nullable=True),
    *(CheckConstraint(holds, name=name) for name, holds in CONDITIONS.items()),
)
# What a job looks for: holds that end by themselves, and what closes when nobody objects.
Index("tickets_to_wake", tickets.c.wake_at, tickets.c.id, postgresql_where=sql("wake_at IS NOT NULL"))
# What was closed and calls its owner nevertheless: a fix has come out that the client has to hear of.
Index("tickets_that_call", tickets.c.owner, postgresql_where=sql("status = 'closed' AND attention <> '[]'"))
Index("tickets_to_close", tickets.c.closes_at, tickets.c.id, postgresql_where=sql("closes_at IS NOT NULL"))
# Open tickets are few and are read where they stand in the queue, so opening one pays for none of these.
_ENDED = sql("status IN ('closed', 'cancelled')")
Index("ended_by_opening", tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_client", tickets.c.client_id, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_assignee", tickets.c.assignee, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_team", tickets.c.team, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_owner", tickets.c.owner, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_module", tickets.c.module_id, tickets.c.opened_at, tickets.c.id, postgresql_where=_ENDED)
Index("ended_by_change", tickets.c.last_fact_at, postgresql_where=_ENDED)
Index("ended_by_closing", tickets.c.closed_at, postgresql_where=_ENDED)
Index(
    "ended_by_participant",
    tickets.c.participants,
    postgresql_using="gin",
    postgresql_ops={"participants": "jsonb_path_ops"},
    postgresql_where=_ENDED,
)
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
    instant("reported_at"),
    instant("opened_at"),
    instant("last_fact_at"),
    text("status"),
    text("kind"),
    text("client_id"),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
    integer("severity"),
    integer("priority"),
    integer("level"),
    text("target", nullable=True),
    text("owner"),
    text("assignee", nullable=True),
    text("hold_reason", nullable=True),
    # Who takes part beside its assignee (`working:bruno`), and which of owner, assignee and team it calls.
    texts("parts"),
    texts("calls"),
    text("clocks"),
    # Of the clock that runs out next, and whether any of them has run out.
    text("due_kind", nullable=True),
    instant("due_at", nullable=True),
    flag("due_breached"),
    flag("breached"),
    integer("turn"),
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
Index("open_tickets_by_part", open_tickets.c.parts, postgresql_using="gin")
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


# What the other services found out about a ticket. Never touches the ticket's own row or version.
environments = Table(
    "environments",
    metadata,
    uuid("ticket_id"),
    text("state"),
    document("data"),
    sequence(),
    integer("classification"),
    PrimaryKeyConstraint("ticket_id", "classification"),
)

clocks = Table(
    "clocks",
    metadata,
    uuid("id", primary_key=True),
    uuid("ticket_id"),
    text("kind"),
    integer("cycle"),
    text("course"),
    text("outcome"),
    text("contract_id", nullable=True),
    integer("contract_version"),
    integer("target_seconds"),
    integer("elapsed_seconds"),
    instant("started_at"),
    instant("since"),
    instant("due_at", nullable=True),
    text("pause_reason", nullable=True),
    text("warned_as", nullable=True),
    instant("breached_at", nullable=True),
    instant("would_have_been_at", nullable=True),
    document("counted_in"),
    sequence(),
)
Index("clocks_by_ticket", clocks.c.ticket_id)
# Few among so many that were met.
Index("clocks_that_ran_out", clocks.c.ticket_id, postgresql_where=sql("breached_at IS NOT NULL"))

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
    sequence(),
    PrimaryKeyConstraint("ticket_id", "id"),
)
