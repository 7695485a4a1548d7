"""What nobody could say at opening, named later."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.versions import ANYTHING, Expected
from tickets.commands.tickets import Done, load_to_change, store_done
from tickets.domain.completing import Naming, asked_of, complete, completed_groups
from tickets.domain.routing import CALL_CENTRE, route
from tickets.repository import teams
from tickets.repository import tickets as repository


async def complete_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, naming: Naming, expected: Expected = ANYTHING
) -> Done:
    """Names what a ticket lacks; inventory then says what runs there, and it may go to another team's queue.

    Raises TicketNotFound, VersionChanged, NothingToComplete, AlreadyNamed, NothingNamed, UnknownReference,
    GroupsDoNotFit, ActionNotAllowed, NoTeam.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    asked = asked_of(ticket, naming)
    groups = completed_groups(ticket, asked, await repository.read_replicas(tx, asked))
    target = ticket.target or CALL_CENTRE
    routed = route(await teams.coverages_for(tx, target, groups), target, groups)
    return await store_done(tx, cause, ticket, *complete(ticket, groups, asked.installation_id, routed))
