"""What may be linked to what, against relations that are closed by hand; and how each ticket sees it."""

from __future__ import annotations

from itertools import permutations, product
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contracts.tickets import Relation, TicketLinked, TicketUnlinked
from shared.errors import Conflict, Invalid
from tests.tickets.domain.tickets import NOW, OPENING
from tickets.domain.link import (
    COUNTERPART,
    AlreadyADuplicate,
    AlreadyLinked,
    DuplicatesInACircle,
    Link,
    LinkedToItself,
    NotLinked,
    edge_of,
    found_link,
    link,
    require_linkable,
    unlink,
)
from tickets.domain.ticket import Ticket

TICKETS = [UUID(int=number) for number in range(1, 5)]
NUMBERS = {each: f"T-{number:06d}" for number, each in enumerate(TICKETS, start=1)}
RELATIONS: tuple[Relation, ...] = get_args(Relation)
Said = tuple[UUID, Relation, UUID]
STEPS = st.lists(
    st.tuples(st.sampled_from(TICKETS), st.sampled_from(RELATIONS), st.sampled_from(TICKETS), st.booleans()),
    max_size=25,
)


def both_ways(one: UUID, relation: Relation, other: UUID) -> set[Said]:
    """A link, said from both ends."""
    back: dict[Relation, Relation] = {
        "duplicate_of": "has_duplicate", "has_duplicate": "duplicate_of", "caused_by": "cause_of",
        "cause_of": "caused_by", "related": "related",
    }  # fmt: skip
    return {(one, relation, other), (other, back[relation], one)}


def reached(said: set[Said]) -> set[tuple[UUID, UUID]]:
    """Which ticket is, over any number of steps, a duplicate of which."""
    pairs = {(one, other) for one, relation, other in said if relation == "duplicate_of"}
    for middle, one, other in product(TICKETS, repeat=3):
        if (one, middle) in pairs and (middle, other) in pairs:
            pairs.add((one, other))
    return pairs


def refusal(said: set[Said], one: UUID, relation: Relation, other: UUID) -> type[Exception] | None:
    """What a link would meet, by what is said of all tickets."""
    if one == other:
        return LinkedToItself
    kinds = {"duplicate_of", "has_duplicate"}, {"caused_by", "cause_of"}, {"related"}
    (kind,) = [each for each in kinds if relation in each]
    if any(one == a and other == b and each in kind for a, each, b in said):
        return AlreadyLinked
    new = both_ways(one, relation, other)
    for repeats, each, _ in new:
        if each == "duplicate_of" and any((repeats, "duplicate_of") == (a, there) for a, there, _ in said):
            return AlreadyADuplicate
    return DuplicatesInACircle if any(a == b for a, b in reached(said | new)) else None


def originals_of(links: list[Link], ticket: UUID) -> list[UUID]:
    """What the repository reads: the originals of a ticket, one after the other."""
    chain = [ticket]
    while step := [one.to_id for one in links if one.kind == "duplicate_of" and one.from_id == chain[-1]]:
        chain += step
    return chain[1:]


class Links:
    """Every link that there is, as the commands would keep them."""

    def __init__(self) -> None:
        self.all: list[Link] = []

    def do(self, one: UUID, relation: Relation, other: UUID, *, is_new: bool) -> None:
        edge = edge_of(relation, one, other)
        # Of both tickets every link there is.
        present = [each for each in self.all if {each.from_id, each.to_id} & {one, other}]
        if is_new:
            require_linkable(edge, NUMBERS, present, originals_of(self.all, edge.to_id))
            self.all.append(Link(edge.kind, edge.from_id, edge.to_id, UUID(int=100 + len(self.all))))
        else:
            self.all.remove(found_link(edge, NUMBERS, present))

    def said(self) -> set[Said]:
        return {
            (one, each.seen_from(one), other)
            for each in self.all
            for one, other in permutations((each.from_id, each.to_id))
        }


@given(steps=STEPS)
@example(steps=[(TICKETS[0], "related", TICKETS[1], True), (TICKETS[1], "related", TICKETS[0], False)])
@example(
    steps=[
        (TICKETS[0], "duplicate_of", TICKETS[2], True),
        (TICKETS[1], "duplicate_of", TICKETS[0], True),
        (TICKETS[0], "duplicate_of", TICKETS[1], True),
    ]
)
def test_whatever_is_linked_and_unlinked_what_is_refused_is_what_would_contradict(
    steps: list[tuple[UUID, Relation, UUID, bool]],
) -> None:
    links, said = Links(), set[Said]()
    for one, relation, other, is_new in steps:
        expected = refusal(said, one, relation, other)
        if not is_new and one != other:
            expected = None if (one, relation, other) in said else NotLinked
        if expected is None:
            links.do(one, relation, other, is_new=is_new)
            said = said | both_ways(one, relation, other) if is_new else said - both_ways(one, relation, other)
        else:
            with pytest.raises((Conflict, Invalid)) as refused:
                links.do(one, relation, other, is_new=is_new)
            assert refused.type is expected, relation
            assert refused.value.message.count("T-0") == (0 if expected is LinkedToItself else 2)
        assert links.said() == said


def ticket(number: int) -> Ticket:
    opened, _ = Ticket.open(TICKETS[number], NUMBERS[TICKETS[number]], OPENING, at=NOW, by="ana")
    return opened


@pytest.mark.parametrize("relation", RELATIONS)
def test_each_ticket_is_told_its_own_side_and_is_otherwise_as_it_was(relation: Relation) -> None:
    one, other = ticket(0), ticket(1)
    edge = edge_of(relation, one.id, other.id)
    made = Link(edge.kind, edge.from_id, edge.to_id, UUID(int=99))
    for do, kind in ((link, TicketLinked), (unlink, TicketUnlinked)):
        for this, that, seen in ((one, other, relation), (other, one, COUNTERPART[relation])):
            after, (event,) = do(this, that, made, "mismo llamado")
            assert isinstance(event, kind)
            assert (event.link_id, event.relation, event.reason) == (UUID(int=99), seen, "mismo llamado")
            assert (event.other.ticket_id, event.other.number, event.ticket_id) == (that.id, that.number, this.id)
            assert after.brief() == this.brief().model_copy(update={"version": 2}) == event.ticket
