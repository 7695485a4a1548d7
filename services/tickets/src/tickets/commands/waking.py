"""What time and other services do to tickets: holds that end, tickets that close by themselves, calls for attention."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from shared import clock
from shared.contracts.devlink import DevTaskStatusChanged
from shared.contracts.envelope import Cause, Received
from shared.contracts.sla import SlaClockBreached, SlaClockWarned
from shared.contracts.tickets import AttentionReason, ReleasedBecause, Status
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.instants import under_lock
from shared.jobs import Pieces
from tickets.commands.tickets import store_done
from tickets.domain.attention import SETTLED
from tickets.domain.ticket import Ticket
from tickets.repository import tickets as repository
from tickets.repository import waking as holds

# What tickets heeds of what others tell.
Heeded = Literal["breached", "warned", "released", "declined"]

ACTOR = "system:tickets"
PORTION = 100
# Where a ticket that is due is in somebody else's transaction.
LOOK_AGAIN = timedelta(milliseconds=250)


async def end_holds(tx: Transaction, due: Sequence[UUID], now: datetime) -> None:
    """Releases tickets whose hour has come; each calls whoever works on it."""
    for ticket_id in due:
        ticket = await repository.load_ticket(tx, ticket_id)
        await _end_hold(tx, under_lock(_by_time(now), ticket.last_fact_at), ticket, "wake-at")


async def close_unopposed(tx: Transaction, due: Sequence[UUID], now: datetime) -> None:
    """Closes tickets that were resolved so long ago that nobody will object."""
    for ticket_id in due:
        ticket = await repository.load_ticket(tx, ticket_id)
        cause = under_lock(_by_time(now), ticket.last_fact_at)
        await store_done(tx, cause, ticket, *ticket.close(at=cause.occurred_at, because="no-objection"))


async def heed_events(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """What others did about tickets may call somebody, or end a hold. What an import tells wakes nobody.

    The projection of the same events, which comes before, has locked their tickets.
    """
    heeded = [(event, reason) for event in events if event.origin == "live" and (reason := _reason_of(event))]
    # Thousands of clocks may warn at once, and few of their tickets are on a hold that a warning ends.
    warned = [event.data.ticket_id for event, reason in heeded if reason == "warned"]
    waking = await holds.waking(tx, warned) if warned else set()
    for event, reason in heeded:
        if reason != "warned" or event.data.ticket_id in waking:
            await _heed(tx, event, reason)


async def _heed(tx: Transaction, event: Received[Any], reason: Heeded) -> None:
    ticket = await repository.load_ticket_if_any(tx, event.data.ticket_id)
    if ticket is None:
        return
    cause = under_lock(event.cause(actor=ACTOR, recorded_at=clock.now()), ticket.last_fact_at)
    if reason == "warned":
        # What it warned of before the hold began, whoever put it on hold knew, or will be warned of again.
        if ticket.wake_at is not None and cause.occurred_at >= ticket.course_at:
            await _end_hold(tx, cause, ticket, "warned")
        return
    called, calls = ticket.call(_calls_for(reason, ticket.status), at=cause.occurred_at)
    if calls:
        await store_done(tx, cause, ticket, called, calls)


def _calls_for(reason: AttentionReason, status: Status) -> AttentionReason:
    """What it calls for: a fix that comes out after the resolution is the client's to hear."""
    return "tell-client" if reason == "released" and status in SETTLED else reason


def _reason_of(event: Received[Any]) -> Heeded | None:
    match event.data:
        case SlaClockBreached():
            return "breached"
        case SlaClockWarned():
            return "warned"
        case DevTaskStatusChanged(task=task) if task.status in ("released", "declined"):
            return "released" if task.status == "released" else "declined"
        case _:
            return None


async def _end_hold(tx: Transaction, cause: Cause, ticket: Ticket, because: ReleasedBecause) -> None:
    """One command: the hold ends, and the ticket calls for it."""
    await store_done(tx, cause, ticket, *ticket.wake(at=cause.occurred_at, because=because))


def _by_time(now: datetime) -> Cause:
    return Cause(actor=ACTOR, occurred_at=now, recorded_at=now, correlation_id=str(new_id()))


# A ticket with which it cannot be done is set aside by its id, and the others go on.
HOLDS: Pieces[UUID] = Pieces(
    holds.claim_holds, end_holds, str, holds.leave_to_an_operator, holds.is_there, portion=PORTION
)
CLOSING: Pieces[UUID] = Pieces(
    holds.claim_unopposed, close_unopposed, str, holds.leave_to_an_operator, holds.is_there, portion=PORTION
)


async def next_hold(tx: Transaction, now: datetime) -> datetime | None:
    """When to look at holds next; shortly after `now` where an overdue one is held by somebody else."""
    due = await holds.next_hold(tx)
    return None if due is None else due if due > now else now + LOOK_AGAIN
