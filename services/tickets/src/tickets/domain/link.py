"""Links: what two tickets have to do with each other, read from either of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from shared.contracts.tickets import OtherTicket, Relation, TicketEvent, TicketLinked, TicketUnlinked
from shared.errors import Conflict, Invalid
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import Action, status_after

LinkKind = Literal["duplicate_of", "caused_by", "related"]

# What the other ticket is to this one, when this one is so to that.
COUNTERPART: Mapping[Relation, Relation] = {
    "duplicate_of": "has_duplicate",
    "has_duplicate": "duplicate_of",
    "caused_by": "cause_of",
    "cause_of": "caused_by",
    "related": "related",
}


class LinkedToItself(Invalid):
    """A ticket has nothing to do with itself."""

    code = "linked-to-itself"
    title = "A link is between two tickets"


class AlreadyLinked(Conflict):
    """There is a link of this kind between the two, whichever way; `link_id` travels with it."""

    code = "already-linked"
    title = "The tickets are linked so already"


class AlreadyADuplicate(Conflict):
    """What repeats one ticket does not repeat another; `link_id` travels with it."""

    code = "already-a-duplicate"
    title = "The ticket is a duplicate of another one"


class DuplicatesInACircle(Conflict):
    """Of tickets that repeat each other in a circle none would be the first."""

    code = "duplicates-in-a-circle"
    title = "The other ticket is a duplicate of this one"


class NotLinked(Conflict):
    """There is no such link between the two."""

    code = "not-linked"
    title = "The tickets are not linked so"


@dataclass(frozen=True, slots=True)
class Edge:
    """One link as it is stored, from the duplicate to its original, from what was caused to its cause; what is related
    has no direction, so its ends stand in the order of their ids."""

    kind: LinkKind
    from_id: UUID
    to_id: UUID

    def seen_from(self, ticket_id: UUID) -> Relation:
        """What that ticket is to the other one."""
        return self.kind if ticket_id == self.from_id else COUNTERPART[self.kind]

    def is_between_those_of(self, other: Edge) -> bool:
        """Whether both have the same ends, in either order."""
        return {self.from_id, self.to_id} == {other.from_id, other.to_id}


@dataclass(frozen=True, slots=True)
class Link(Edge):
    """One that there is."""

    id: UUID


def edge_of(relation: Relation, ticket_id: UUID, other_id: UUID) -> Edge:
    """The link that makes a ticket this to another one. Raises LinkedToItself."""
    if ticket_id == other_id:
        raise LinkedToItself("both are the same ticket: name another one", field="other")
    match relation:
        case "has_duplicate" | "cause_of":
            return edge_of(COUNTERPART[relation], other_id, ticket_id)
        case "related":
            return Edge(relation, *sorted((ticket_id, other_id)))
        case "duplicate_of" | "caused_by":
            return Edge(relation, ticket_id, other_id)


def require_linkable(
    edge: Edge, numbers: Mapping[UUID, str], present: Iterable[Link], originals: Collection[UUID]
) -> None:
    """Checks that two tickets can be linked so.

    `numbers` are those of both, `present` every link that there is of either, `originals` what its target is a
    duplicate of, and those in turn. Raises AlreadyLinked, AlreadyADuplicate, DuplicatesInACircle.
    """
    one, other = numbers[edge.from_id], numbers[edge.to_id]
    # In whatever order they come: what there is between the two comes first.
    for link in sorted(present, key=lambda link: not link.is_between_those_of(edge)):
        if link.kind == edge.kind and link.is_between_those_of(edge):
            raise AlreadyLinked(
                f"{one} is {link.seen_from(edge.from_id)} to {other} already: unlink that, or leave it", link_id=link.id
            )
        if edge.kind == link.kind == "duplicate_of" and link.from_id == edge.from_id:
            raise AlreadyADuplicate(
                f"{one} is a duplicate of another ticket already: unlink that first, or link that one to {other}",
                link_id=link.id,
            )
    if edge.kind == "duplicate_of" and edge.from_id in originals:
        raise DuplicatesInACircle(
            f"{other} is a duplicate of {one} itself, or of one that is: unlink that first, or say it the other way"
        )


def found_link(edge: Edge, numbers: Mapping[UUID, str], present: Iterable[Link]) -> Link:
    """The link that is there. Raises NotLinked."""
    for link in present:
        if (link.kind, link.from_id, link.to_id) == (edge.kind, edge.from_id, edge.to_id):
            return link
    one, other = numbers[edge.from_id], numbers[edge.to_id]
    raise NotLinked(f"{one} is not {edge.kind} to {other}: look at either to see what it is linked to")


def link(ticket: Ticket, other: Ticket, made: Link, reason: str | None) -> tuple[Ticket, tuple[TicketEvent, ...]]:
    """A ticket that is linked to another one, as its side of it. Raises what the workflow raises."""
    after = _written_about(ticket, "link")
    event = after.fact_of(
        TicketLinked, link_id=made.id, relation=made.seen_from(ticket.id), other=_named(other), reason=reason
    )
    return after, (event,)


def unlink(ticket: Ticket, other: Ticket, ended: Link, reason: str | None) -> tuple[Ticket, tuple[TicketEvent, ...]]:
    """A ticket that is no more linked to another one, as its side of it. Raises what the workflow raises."""
    after = _written_about(ticket, "unlink")
    event = after.fact_of(
        TicketUnlinked, link_id=ended.id, relation=ended.seen_from(ticket.id), other=_named(other), reason=reason
    )
    return after, (event,)


def _written_about(ticket: Ticket, action: Action) -> Ticket:
    status = status_after(ticket.number, ticket.status, ticket.level, action)
    return replace(ticket, status=status, version=ticket.version + 1)


def _named(ticket: Ticket) -> OtherTicket:
    return OtherTicket(ticket_id=ticket.id, number=ticket.number)
