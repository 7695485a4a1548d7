"""Completing: what nobody could say at opening is named later, each of it once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.contracts.tickets import Groups, Rerouting, TicketClassified, TicketEvent
from shared.errors import Conflict, Invalid
from tickets.domain.grouping import Asked, Known, fitting_groups
from tickets.domain.routing import Routed
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import status_after


class NothingNamed(Invalid):
    """Completing without naming anything."""

    code = "nothing-named"
    title = "Nothing was named"


class AlreadyNamed(Conflict):
    """What is named already is not named again; `named` are the fields that are."""

    code = "already-named"
    title = "The ticket says this already"


class NothingToComplete(Conflict):
    """Product, module and installation are all named."""

    code = "nothing-to-complete"
    title = "The ticket lacks nothing"


@dataclass(frozen=True, slots=True)
class Naming:
    """What somebody can say now; None is what they do not name."""

    product_id: str | None = None
    module_id: str | None = None
    installation_id: str | None = None


_WAY_OUT = "what was wrong or has changed is no completing: write it down with a note until it can be corrected"


def require_incomplete(number: str, present: Naming) -> None:
    """Checks that something is still to be named. Raises NothingToComplete."""
    if None not in (present.product_id, present.module_id, present.installation_id):
        raise NothingToComplete(f"{number} names its product, module and installation: {_WAY_OUT}")


def asked_of(ticket: Ticket, naming: Naming) -> Asked:
    """What has to be known to complete a ticket so: what is named now, and the product that it has.

    Raises what the workflow raises, NothingToComplete, AlreadyNamed or NothingNamed.
    """
    status_after(ticket.number, ticket.status, ticket.level, "complete")
    present = _present(ticket)
    require_incomplete(ticket.number, present)
    fields = Naming.__slots__
    said = [name for name in fields if getattr(naming, name) is not None]
    if not said:
        missing = ", ".join(name for name in fields if getattr(present, name) is None)
        raise NothingNamed(f"name at least one of what {ticket.number} lacks: {missing}")
    if again := [name for name in said if getattr(present, name) is not None]:
        has = ", ".join(f"{name} {getattr(present, name)}" for name in again)
        raise AlreadyNamed(f"{ticket.number} has {has}: leave it out; {_WAY_OUT}", named=again)
    product_id = present.product_id or naming.product_id
    return Asked(ticket.opening.groups.client_id, product_id, naming.module_id, naming.installation_id)


def completed_groups(ticket: Ticket, asked: Asked, known: Known) -> Groups:
    """The groups of a ticket with what `asked_of` gave.

    What is named now must be known, in use and fit, as at opening; what the ticket has stands, whatever became of it.
    Raises UnknownReference, GroupsDoNotFit.
    """
    groups = ticket.opening.groups
    if groups.product_id is not None:
        known = replace(known, product_retired=False)
    product_id = fitting_groups(asked, known).product_id
    return Groups(client_id=groups.client_id, product_id=product_id, module_id=groups.module_id or asked.module_id)


def complete(
    ticket: Ticket, groups: Groups, installation_id: str | None, routed: Routed
) -> tuple[Ticket, tuple[TicketEvent, ...]]:
    """Names what was missing. What nobody has and waits goes to the team that covers it now; what is in hand stays.

    Raises what the workflow raises.
    """
    before = ticket.opening
    status = status_after(ticket.number, ticket.status, ticket.level, "complete")
    waits = ticket.assignee is None and status != "resolved"
    after = replace(
        ticket,
        status=status,
        version=ticket.version + 1,
        classification=ticket.version + 1,
        opening=replace(before, groups=groups, installation_id=before.installation_id or installation_id),
        team=routed.team_id if waits else ticket.team,
    )
    pattern = routed.pattern
    rerouted = Rerouting(
        from_team=ticket.team,
        client_id=pattern.client_id,
        product_id=pattern.product_id,
        module_id=pattern.module_id,
    )
    event = after.fact_of(
        TicketClassified,
        product_id=groups.product_id if before.groups.product_id is None else None,
        module_id=groups.module_id if before.groups.module_id is None else None,
        installation_id=installation_id if before.installation_id is None else None,
        rerouted=rerouted if after.team != ticket.team else None,
    )
    return after, (event,)


def _present(ticket: Ticket) -> Naming:
    opening = ticket.opening
    return Naming(opening.groups.product_id, opening.groups.module_id, opening.installation_id)
