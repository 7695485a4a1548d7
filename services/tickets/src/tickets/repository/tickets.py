"""Tickets: loaded and locked, stored with their facts, and what an opening must know beside them."""

# ruff: noqa: S608 - every name that is put into a statement is a field of a class or written in this file

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Sealed, instant
from shared.contracts.tickets import CategoryAnswer, EnvironmentBrief, Groups, ImpactAnswers, Target, TicketEvent
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Row, Transaction
from shared.spelling import search_key
from tickets.domain.attention import Attention
from tickets.domain.grouping import Asked, Known, KnownClient, KnownInstallation, KnownModule
from tickets.domain.hands import Participant
from tickets.domain.number import number_of
from tickets.domain.opening import Handover, Opening
from tickets.domain.routing import CALL_CENTRE, Coverage
from tickets.domain.scheme import Scheme
from tickets.domain.ticket import Ticket, TicketNotFound
from tickets.repository import history, queue
from tickets.repository.catalogue import category, category_of
from tickets.repository.contracts import contracts_in, contracts_of
from tickets.repository.teams import coverages_of, covering
from tickets.repository.urgency import in_force, scheme_in

# The columns that opening settles for good, and those that actions change.
_GROUP_COLUMNS = ("client_id", "product_id", "module_id")
_OPENING_COLUMNS = tuple(one.name for one in fields(Opening) if one.name != "groups")
_TICKET_COLUMNS = tuple(one.name for one in fields(Ticket) if one.name != "opening")
# What nobody could say at opening may be named later, and a reopening may shift the priority.
_CHANGING_COLUMNS = (
    *(name for name in _TICKET_COLUMNS if name not in ("id", "number", "opened_at", "opened_by")),
    "product_id", "module_id", "installation_id", "priority", "priority_derived",
)  # fmt: skip
# Columns that hold several parts of a ticket as JSON, and what each part is.
_PARTS: dict[str, type[Participant] | type[Attention]] = {"participants": Participant, "attention": Attention}
_ALL_COLUMNS = (*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS, "title_key")

_INSERT = sql(
    f"INSERT INTO tickets.tickets ({', '.join(_ALL_COLUMNS)}) VALUES ({', '.join(':' + name for name in _ALL_COLUMNS)})"
)
_UPDATE = sql(
    f"UPDATE tickets.tickets SET {', '.join(f'{name} = :{name}' for name in _CHANGING_COLUMNS)} WHERE id = :id"
)
_LOAD = sql(
    f"SELECT {', '.join((*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS))} "
    "FROM tickets.tickets WHERE id = :id FOR UPDATE"
)

_HANDOVER_COLUMNS = ", ".join(f"t.{name}" for name in (*_TICKET_COLUMNS, *_OPENING_COLUMNS, *_GROUP_COLUMNS))
_LOAD_WITH_HANDOVER = sql(f"""
    SELECT {_HANDOVER_COLUMNS}, e.data::text AS environment,
           (SELECT min(c.due_at) FROM tickets.clocks c
             WHERE c.ticket_id = t.id AND c.kind = 'resolution' AND c.course = 'running') AS resolution_due_at,
           {covering(":target", "t.client_id", "t.module_id")}::text AS coverages
      FROM tickets.tickets t
      LEFT JOIN tickets.environments e
             ON e.ticket_id = t.id AND e.classification = t.classification AND e.state = 'resolved'
     WHERE t.id = :id FOR UPDATE OF t
""")

# What was taken meanwhile is seen as it is once its row is locked, and passed over then.
_NEXT = f"""
    SELECT {_HANDOVER_COLUMNS} FROM tickets.open_tickets o JOIN tickets.tickets t ON t.id = o.id
     WHERE o.assignee IS NULL AND o.status IN ('new', 'in_progress')
       AND t.assignee IS NULL AND t.status IN ('new', 'in_progress')
       AND o.team IN (SELECT m.id FROM tickets.teams m
                       WHERE m.members @> jsonb_build_array(CAST(:person AS text)) AND NOT m.retired
                         AND (CAST(:team AS text) IS NULL OR m.id = :team))
     ORDER BY o.turn, o.turn_by, o.severity, o.priority, o.id LIMIT 1 FOR UPDATE OF t
"""
_LOAD_NEXT, _WAIT_FOR_NEXT = sql(f"{_NEXT} SKIP LOCKED"), sql(_NEXT)

# What the replicas say of the ids named.
_REPLICAS = f"""
           (SELECT json_build_object('tier', c.tier, 'retired', c.retired, 'contracts', {contracts_of("c.id")})
              FROM tickets.clients c WHERE c.id = :client_id)::text AS client,
           (SELECT p.retired FROM tickets.products p WHERE p.id = :product_id) AS product_retired,
           (SELECT json_build_object('product_id', m.product_id, 'client_id', m.client_id, 'retired', m.retired)
              FROM tickets.modules m WHERE m.id = :module_id)::text AS module,
           (SELECT json_build_object('client_id', i.client_id, 'product_id', i.product_id, 'retired', i.retired)
              FROM tickets.installations i WHERE i.id = :installation_id)::text AS installation
"""
# Everything that an opening must know, in one round trip: the number, and beside what the replicas say the category,
# the scheme of urgency and whose queue it could be.
_KNOWN = f"""
    SELECT {{number}} AS number, {_REPLICAS},
           {category(":category")}::text AS category,
           {in_force("CAST(:reported_at AS timestamptz)")}::text AS scheme,
           {covering(f"'{CALL_CENTRE}'", ":client_id", ":module_id")}::text AS coverages
"""
_KNOWN_TO_OPEN = query(_KNOWN.format(number="nextval('tickets.ticket_number')"))
# What is only asked for takes no number.
_KNOWN_TO_ASK = query(_KNOWN.format(number="NULL::bigint"))

_REPLICAS_ALONE = query(f"SELECT {_REPLICAS}")


async def read_known(
    tx: Reader, asked: Asked, reported_at: datetime, *, opens: bool = True
) -> tuple[str, Known, tuple[Coverage, ...], Scheme | None]:
    """The next ticket number, what is known of the ids that were named, what of the call centre could take it, and the
    scheme of urgency that was in force when the client reported; in one statement."""
    row = await tx.fetch_one(_KNOWN_TO_OPEN if opens else _KNOWN_TO_ASK, {**asdict(asked), "reported_at": reported_at})
    known = replace(_known(row), category=category_of(_json(row["category"])))
    scheme = scheme_in(row["scheme"]) if row["scheme"] is not None else None
    return number_of(row["number"] or 0), known, coverages_of(_json(row["coverages"])), scheme


async def read_replicas(tx: Transaction, asked: Asked) -> Known:
    """What the replicas know of ids that are named later."""
    return _known(await tx.fetch_one(_REPLICAS_ALONE, asdict(asked)))


async def insert_ticket(tx: Transaction, ticket: Ticket, facts: Sequence[Sealed[TicketEvent]]) -> None:
    """Stores a new ticket and the facts that it begins with, and puts it into the queue."""
    row = _row_of(ticket)
    await tx.write(_INSERT, row)
    await queue.refresh_stored(tx, row)
    await history.add_facts(tx, facts, None)


async def store_ticket(tx: Transaction, before: Ticket, after: Ticket, facts: Sequence[Sealed[TicketEvent]]) -> None:
    """Stores what an action made of a ticket, adds its facts to the history, and moves it in the queue."""
    row = _row_of(after)
    await tx.write(_UPDATE, {name: row[name] for name in ("id", *_CHANGING_COLUMNS)})
    await queue.refresh_stored(tx, row)
    await history.add_facts(tx, facts, before.brief())


async def load_ticket(tx: Transaction, id: UUID) -> Ticket:
    """The ticket, locked until the end of the transaction. Raises TicketNotFound."""
    found = await load_ticket_if_any(tx, id)
    if found is None:
        raise _not_found(id)
    return found


async def load_ticket_if_any(tx: Transaction, id: UUID) -> Ticket | None:
    """The ticket, locked likewise; None where there is none."""
    row = await tx.fetch_first(_LOAD, {"id": id})
    return None if row is None else _ticket_of(row)


async def load_next(tx: Transaction, person_id: str, team: str | None) -> Ticket | None:
    """The first ticket that nobody has in the queues of somebody's teams, locked; None where there is none.

    Passes over what others are taking; where nothing else is left it waits for that, since it may be no more than what
    another service tells of the ticket.
    """
    asked = {"person": person_id, "team": team}
    row = await tx.fetch_first(_LOAD_NEXT, asked) or await tx.fetch_first(_WAIT_FOR_NEXT, asked)
    return None if row is None else _ticket_of(row)


async def load_ticket_with_handover(
    tx: Transaction, id: UUID, target: Target
) -> tuple[Ticket, Handover, tuple[Coverage, ...]]:
    """The ticket, locked, what is known beside it for whoever takes it over, and what of a target could take it.

    Raises TicketNotFound.
    """
    row = await tx.fetch_first(_LOAD_WITH_HANDOVER, {"id": id, "target": target})
    if row is None:
        raise _not_found(id)
    handover = Handover(_brief(_json(row["environment"])), row["resolution_due_at"])
    return _ticket_of(row), handover, coverages_of(_json(row["coverages"]))


def _row_of(ticket: Ticket) -> dict[str, Any]:
    opening = ticket.opening
    row = {name: getattr(ticket, name) for name in _TICKET_COLUMNS}
    row.update({name: getattr(opening, name) for name in _OPENING_COLUMNS})
    row.update({name: getattr(opening.groups, name) for name in _GROUP_COLUMNS})
    row["title_key"] = search_key(opening.title)
    row["last_hands"] = dict(ticket.last_hands)
    row["impact"] = opening.impact.model_dump()
    row["answers"] = [one.model_dump() for one in opening.answers]
    for name in _PARTS:
        row[name] = [asdict(one) | {"since": instant(one.since)} for one in getattr(ticket, name)]
    return row


def _not_found(id: UUID) -> TicketNotFound:
    return TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")


def _ticket_of(row: Row) -> Ticket:
    groups = Groups.model_construct(**{name: row[name] for name in _GROUP_COLUMNS})
    settled = {name: row[name] for name in _OPENING_COLUMNS}
    settled["impact"] = ImpactAnswers.model_construct(**row["impact"])
    settled["answers"] = tuple(CategoryAnswer.model_construct(**one) for one in row["answers"])
    opening = Opening(groups=groups, **settled)
    parts = {
        name: tuple(part(**one | {"since": datetime.fromisoformat(one["since"])}) for one in row[name])
        for name, part in _PARTS.items()
    }
    return Ticket(opening=opening, **{name: row[name] for name in _TICKET_COLUMNS} | parts)


def _known(row: Row) -> Known:
    module, installation = _json(row["module"]), _json(row["installation"])
    return Known(
        client=_known_client(_json(row["client"])),
        product_retired=row["product_retired"],
        module=KnownModule(**module) if module else None,
        installation=KnownInstallation(**installation) if installation else None,
    )


def _known_client(found: Any) -> KnownClient | None:
    if found is None:
        return None
    return KnownClient(tier=found["tier"], retired=found["retired"], contracts=contracts_in(found["contracts"]))


def _brief(snapshot: Any) -> EnvironmentBrief | None:
    if snapshot is None:
        return None
    return EnvironmentBrief(
        installation_id=snapshot["installation_id"],
        product_version=snapshot["product_version"],
        customised_modules=tuple(one["module_id"] for one in snapshot["modules"] if one["nature"] == "customised"),
    )


def _json(value: str | None) -> Any:
    return json.loads(value) if value is not None else None
