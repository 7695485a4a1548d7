"""What is said of two tickets together: each has its own fact of it, in one transaction."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.envelope import Cause
from shared.contracts.tickets import Relation
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.instants import under_lock
from shared.versions import ANYTHING, Expected
from tickets.commands.tickets import Done, store_done
from tickets.domain.link import Edge, Link, edge_of, found_link, link, require_linkable, unlink
from tickets.domain.ticket import Ticket
from tickets.repository import history, links, locks
from tickets.repository import tickets as repository


async def link_tickets(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    relation: Relation,
    other: str,
    reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Says what a ticket is to another one, which is named by its id or number.

    Raises TicketNotFound, UnknownReference, LinkedToItself, VersionChanged, AlreadyLinked, AlreadyADuplicate,
    DuplicatesInACircle.
    """
    edge = edge_of(relation, ticket_id, await links.find_ticket(tx, other))
    ticket, beside, cause = await _load_both(tx, cause, ticket_id, edge, expected)
    originals = await links.read_originals(tx, edge.to_id) if edge.kind == "duplicate_of" else ()
    require_linkable(edge, _numbers(ticket, beside), await links.read_links(tx, [ticket.id, beside.id]), originals)
    made = Link(edge.kind, edge.from_id, edge.to_id, new_id())
    await links.make_link(tx, cause, made, reason)
    await store_done(tx, cause, beside, *link(beside, ticket, made, reason), answers=False)
    return await store_done(tx, cause, ticket, *link(ticket, beside, made, reason))


async def unlink_tickets(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    relation: Relation,
    other: str,
    reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Ends a link, named from either of its tickets.

    Raises TicketNotFound, UnknownReference, LinkedToItself, VersionChanged, NotLinked.
    """
    edge = edge_of(relation, ticket_id, await links.find_ticket(tx, other))
    ticket, beside, cause = await _load_both(tx, cause, ticket_id, edge, expected)
    ended = found_link(edge, _numbers(ticket, beside), await links.read_links(tx, [ticket.id, beside.id]))
    await links.end_link(tx, cause, ended)
    await store_done(tx, cause, beside, *unlink(beside, ticket, ended, reason), answers=False)
    return await store_done(tx, cause, ticket, *unlink(ticket, beside, ended, reason))


async def _load_both(
    tx: Transaction, cause: Cause, ticket_id: UUID, edge: Edge, expected: Expected
) -> tuple[Ticket, Ticket, Cause]:
    """The ticket that was named, the other one, and the cause as of now, after everything that happened to either.

    They are locked in the order of their ids, as everybody does it who locks several: two commands that cross wait for
    each other in turn. The caller has seen the version of the one, and need not have seen the other.
    """
    if edge.kind == "duplicate_of":
        await locks.lock_duplicates(tx)
    found = {each: await repository.load_ticket(tx, each) for each in sorted((edge.from_id, edge.to_id))}
    ticket = found.pop(ticket_id)
    (beside,) = found.values()
    cause = under_lock(cause, max(ticket.last_fact_at, beside.last_fact_at))
    await history.require_seen(tx, ticket, expected)
    return ticket, beside, cause


def _numbers(*both: Ticket) -> dict[UUID, str]:
    return {one.id: one.number for one in both}
