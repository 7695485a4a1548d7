"""Every state that a ticket can be in, found by doing every action in every state that was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

from shared.contracts.tickets import Status, Target
from shared.errors import Conflict
from tests.tickets.domain.acting import DO
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, new_ticket
from tickets.domain.escalation import EVERYWHERE, LEVEL_OF
from tickets.domain.ticket import Ticket

# What decides where a ticket is: the first three as they are, of a hold whether it is until a date that was agreed, of
# the rest whether it is there.
THERE_OR_NOT = (
    "assignee", "hold_note", "held_at", "wake_at", "first_responded_at", "resolution_code", "resolution_text",
    "resolved_at", "reopenable_until", "closes_at", "closed_at", "cancelled_at",
)  # fmt: skip
State = tuple[Status, int, Target | None, str | None, tuple[bool, ...]]
Way = Callable[[Ticket], tuple[Ticket, object]]
SOON = NOW + timedelta(hours=1)


def state_of(ticket: Ticket) -> State:
    """Where a ticket is, as its row says it."""
    hold = ticket.hold_reason if ticket.hold_reason in (None, "agreed-date") else "other"
    there = tuple(getattr(ticket, name) is not None for name in THERE_OR_NOT)
    return ticket.status, ticket.level, ticket.target, hold, there


def _escalated(to: Target, ticket: Ticket) -> tuple[Ticket, object]:
    return ticket.escalate(UUID(int=8), to, "x", NOTHING_KNOWN, EVERYWHERE)


def _next(ticket: Ticket) -> Iterator[Ticket]:
    """What a ticket may become by one action. The test of the table sees to it that `DO` names them all."""
    ways: list[Way] = [
        *DO.values(),
        lambda one: one.hold("agreed-date", "el lunes", at=NOW, now=NOW, wake_at=SOON),
        lambda one: one.hold("third-party", "el banco", at=NOW, now=NOW, wake_at=SOON),
        lambda one: one.wake(at=NOW, because="wake-at"),
        *(partial(_escalated, to) for to in LEVEL_OF),
    ]
    for way in ways:
        with suppress(Conflict):
            yield way(ticket)[0]


def reached() -> set[State]:
    """All of them. Who had a ticket last on which level decides where it comes down, so that is told apart as well."""
    first = new_ticket()
    seen = {(state_of(first), frozenset(first.last_hands))}
    waiting = [first]
    while waiting:
        for ticket in _next(waiting.pop()):
            found = state_of(ticket), frozenset(ticket.last_hands)
            if found not in seen:
                seen.add(found)
                waiting.append(ticket)
    return {state for state, _ in seen}
