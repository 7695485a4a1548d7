"""What is done to tickets, one function per action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Cause, Received
from shared.contracts.tickets import (
    CategoryAnswer,
    Channel,
    HoldReason,
    Kind,
    ParticipantRole,
    Target,
    TicketEvent,
)
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.instants import under_lock
from shared.messaging.outbox import publish, seal
from shared.versions import ANYTHING, Expected
from tickets.domain.catalogue import answered, unknown_category, unknown_resolution_code
from tickets.domain.escalation import ANALYSTS, Reach
from tickets.domain.grouping import Asked, Known, known_client, resolve_groups
from tickets.domain.hands import NothingToTake, require_known, require_of_team
from tickets.domain.opening import Opening
from tickets.domain.reporting import reported_instant
from tickets.domain.routing import CALL_CENTRE, route
from tickets.domain.ticket import Ticket
from tickets.domain.urgency import Stated, Urgency, facts_of, require_scheme, settle
from tickets.repository import catalogue, contracts, history, people, teams, urgency
from tickets.repository import tickets as repository


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """What a representative registers. `urgency` is the impact, and what is chosen in place of what follows from it."""

    client_id: str
    kind: Kind
    title: str
    urgency: Stated
    category: str | None = None
    answers: tuple[CategoryAnswer, ...] = ()
    description: str = ""
    product_id: str | None = None
    module_id: str | None = None
    installation_id: str | None = None
    reporter: str | None = None
    channel: Channel = "phone"
    reported_at: datetime | None = None
    reported_late_reason: str | None = None


# What a ticket keeps as it was told; the rest of an opening is settled by rules.
_JUDGED = {one.name for one in fields(Urgency)}
_AS_TOLD = {one.name for one in fields(Opening)} - _JUDGED - {"groups", "reported_at", "answers"}


@dataclass(frozen=True, slots=True)
class Done:
    """What an action left: the ticket, and the ids of the facts that it added to the history."""

    ticket: Ticket
    facts: tuple[UUID, ...]


async def open_ticket(tx: Transaction, cause: Cause, request: OpenTicket, *, may_be_late: bool = False) -> Done:
    """Registers a ticket against the replicas, so that it works while every other service is down.

    `may_be_late`: what was reported more than a day ago may still be registered.
    Raises ReasonMissing, UnknownReference, GroupsDoNotFit, UnknownCategory, AnswersMissing, UnknownQuestion,
    ReportedInTheFuture, LateReasonMissing, ReportedTooLongAgo, TooOldToRegister, NoScheme or NoTeam.
    """
    reported_at = reported_instant(
        request.reported_at, cause.recorded_at, request.reported_late_reason, may_be_late=may_be_late
    )
    asked = Asked(request.client_id, request.product_id, request.module_id, request.installation_id, request.category)
    number, known, coverages, scheme = await repository.read_known(tx, asked, reported_at)
    groups = resolve_groups(asked, known)
    client = known_client(asked, known)
    facts, _ = facts_of(client.tier, client.contracts, groups.product_id, request.kind, reported_at)
    judged = settle(require_scheme(scheme, reported_at), request.urgency, facts)
    opening = Opening(
        **{name: getattr(request, name) for name in _AS_TOLD},
        **{name: getattr(judged, name) for name in _JUDGED},
        groups=groups,
        reported_at=reported_at,
        answers=await _answers(tx, request, known),
    )
    team = route(coverages, CALL_CENTRE, groups).team_id
    ticket, events = Ticket.open(new_id(), number, opening, team=team, at=cause.recorded_at, by=cause.actor)
    told = seal(cause, *events)
    await repository.insert_ticket(tx, ticket, told)
    await publish(tx, told)
    return Done(ticket, tuple(fact.id for fact in told))


async def assign_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, assignee: str, expected: Expected = ANYTHING
) -> Done:
    """Puts a ticket into somebody's hands.

    Those are one's own, or somebody's of the ticket's team.
    Raises TicketNotFound, VersionChanged, NobodyToAsk, NotOfTheTeam, AlreadyAssigned, ActionNotAllowed.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    assigned = ticket.assign(assignee)
    await _require_fit(tx, ticket, assignee, of_team=assignee != cause.actor)
    return await store_done(tx, cause, ticket, *assigned)


async def take_next(tx: Transaction, cause: Cause, *, team: str | None = None) -> Done:
    """Takes the most urgent ticket that nobody has, of the teams that one is in or of one of them.

    Whoever asks at the same time gets another one. Raises NothingToTake, ActionNotAllowed.
    """
    ticket = await repository.load_next(tx, cause.actor, team)
    if ticket is None:
        where = f"the queue of {team}, or you are not in that team" if team else "the queues of your teams"
        raise NothingToTake(f"nothing without hands waits in {where}: GET /v1/teams?member=… shows where you are")
    cause = under_lock(cause, ticket.last_fact_at)
    return await store_done(tx, cause, ticket, *ticket.assign(cause.actor))


async def escalate_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    target: Target,
    reason: str,
    reach: Reach = ANALYSTS,
    tried: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Hands a ticket up, with what is known of its environment and due; each escalation has an id of its own.

    Raises TicketNotFound, VersionChanged, NotYoursToDerive, LevelSkipped, NotAStep, ActionNotAllowed, NoTeam.
    """
    ticket, handover, coverages = await repository.load_ticket_with_handover(tx, ticket_id, target)
    cause = under_lock(cause, ticket.last_fact_at)
    await history.require_seen(tx, ticket, expected)
    handover = replace(handover, team=route(coverages, target, ticket.opening.groups).team_id)
    return await store_done(tx, cause, ticket, *ticket.escalate(new_id(), target, reason, handover, reach, tried))


async def deescalate_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, reason: str, expected: Expected = ANYTHING
) -> Done:
    """Brings a ticket one level down.

    Raises TicketNotFound, VersionChanged, NotAtThisLevel, ActionNotAllowed, NoTeam.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    target, groups = ticket.target_below, ticket.opening.groups
    coverages = await teams.coverages_for(tx, target or CALL_CENTRE, groups)
    team = route(coverages, target or CALL_CENTRE, groups).team_id
    return await store_done(tx, cause, ticket, *ticket.deescalate(reason, team))


async def hand_over_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    owner: str,
    reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Lets somebody else keep the contact with the client.

    Raises TicketNotFound, VersionChanged, NobodyToAsk, AlreadyOwned, ActionNotAllowed.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    handed = ticket.hand_over(owner, reason)
    await _require_fit(tx, ticket, owner)
    return await store_done(tx, cause, ticket, *handed)


async def join_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    person_id: str,
    role: ParticipantRole,
    expected: Expected = ANYTHING,
) -> Done:
    """Lets somebody take part.

    Raises TicketNotFound, VersionChanged, NobodyToAsk, AlreadyTakesPart, ActionNotAllowed.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    joined = ticket.join(person_id, role, at=cause.occurred_at)
    await _require_fit(tx, ticket, person_id)
    return await store_done(tx, cause, ticket, *joined)


async def leave_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    person_id: str,
    role: ParticipantRole,
    expected: Expected = ANYTHING,
) -> Done:
    """Ends somebody's part. Raises TicketNotFound, VersionChanged, TakesNoPart."""
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.leave(person_id, role))


async def comment_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, text: str, expected: Expected = ANYTHING
) -> Done:
    """Keeps something for the house, in whatever state the ticket is. Raises TicketNotFound, VersionChanged."""
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.comment(text))


async def answer_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, reason: str, expected: Expected = ANYTHING
) -> Done:
    """Says that there is nothing to do about what a ticket calls for.

    Raises TicketNotFound, VersionChanged, NothingCalls.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.answer(reason))


async def hold_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    reason: HoldReason,
    note: str,
    wake_at: datetime | None = None,
    late_reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Stops work on a ticket for a reason; `late_reason` says, here and below, why it is told after it happened.

    Raises TicketNotFound, VersionChanged, ActionNotAllowed, OccurredBeforeItBegan.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    held = ticket.hold(
        reason, note, at=cause.occurred_at, now=cause.recorded_at, wake_at=wake_at, late_reason=late_reason
    )
    return await store_done(tx, cause, ticket, *held)


async def release_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, late_reason: str | None = None, expected: Expected = ANYTHING
) -> Done:
    """Ends a ticket's hold. Raises TicketNotFound, VersionChanged, ActionNotAllowed, OccurredBeforeItBegan."""
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.release(at=cause.occurred_at, late_reason=late_reason))


async def respond_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    channel: Channel,
    text: str,
    late_reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Notes what the client was told.

    Raises TicketNotFound, VersionChanged, ActionNotAllowed, OccurredBeforeItBegan.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(
        tx, cause, ticket, *ticket.respond(channel, text, at=cause.occurred_at, late_reason=late_reason)
    )


async def resolve_ticket(
    tx: Transaction,
    cause: Cause,
    ticket_id: UUID,
    *,
    code: str,
    text: str,
    late_reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Done:
    """Says how the matter was settled.

    Raises TicketNotFound, VersionChanged, ActionNotAllowed, OccurredBeforeItBegan, UnknownResolutionCode.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    terms = await contracts.read_closing_terms(tx, ticket)
    resolved = ticket.resolve(code, text, at=cause.occurred_at, late_reason=late_reason, terms=terms)
    if not await catalogue.is_code_in_use(tx, code):
        raise unknown_resolution_code(code, await catalogue.entries_in_use(tx, "resolution-code"))
    return await store_done(tx, cause, ticket, *resolved)


async def close_ticket(tx: Transaction, cause: Cause, ticket_id: UUID, *, expected: Expected = ANYTHING) -> Done:
    """Ends a resolved ticket (it may be reopened). Raises TicketNotFound, VersionChanged, ActionNotAllowed."""
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.close(at=cause.occurred_at))


async def reopen_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, reason: str, expected: Expected = ANYTHING
) -> Done:
    """Goes on with a ticket that was taken for settled.

    Raises TicketNotFound, VersionChanged, ActionNotAllowed, ReopenWindowPassed.
    """
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    scheme = await urgency.read_scheme(tx, ticket.opening.urgency_scheme)
    return await store_done(tx, cause, ticket, *ticket.reopen(reason, at=cause.occurred_at, scheme=scheme))


async def cancel_ticket(
    tx: Transaction, cause: Cause, ticket_id: UUID, *, reason: str, expected: Expected = ANYTHING
) -> Done:
    """Ends a ticket that should not have been opened. Raises TicketNotFound, VersionChanged, ActionNotAllowed."""
    ticket, cause = await load_to_change(tx, cause, ticket_id, expected)
    return await store_done(tx, cause, ticket, *ticket.cancel(reason, at=cause.occurred_at))


async def record_reactions(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Writes what other services did about tickets into the history; the event's id is the fact's.

    The projection of the same events, which comes before, has locked their tickets: an entry's position is drawn under
    that lock, or a reader could page past it before it is committed.
    """
    await history.add_reactions(tx, events)


async def _answers(tx: Transaction, request: OpenTicket, known: Known) -> tuple[CategoryAnswer, ...]:
    """Which categories there are is only read for whoever has to be told."""
    if request.category is not None and (known.category is None or known.category.retired):
        raise unknown_category(request.category, await catalogue.entries_in_use(tx, "category"))
    return answered(known.category, request.answers)


async def load_to_change(tx: Transaction, cause: Cause, ticket_id: UUID, expected: Expected) -> tuple[Ticket, Cause]:
    """The ticket, locked, and the cause as of now. Raises TicketNotFound, VersionChanged."""
    ticket = await repository.load_ticket(tx, ticket_id)
    cause = under_lock(cause, ticket.last_fact_at)
    await history.require_seen(tx, ticket, expected)
    return ticket, cause


async def _require_fit(tx: Transaction, ticket: Ticket, person_id: str, *, of_team: bool = False) -> None:
    """Checks whom somebody is asked for; who the team is, is only read for whoever may have to be told."""
    is_active, is_member = await people.standing(tx, person_id, ticket.team)
    if not is_active or (of_team and not is_member):
        team = await people.read_team(tx, ticket.team)
        require_known(ticket.number, person_id, is_active=is_active, team=team)
        require_of_team(ticket.number, person_id, ticket.team, team)


async def store_done(
    tx: Transaction,
    cause: Cause,
    before: Ticket,
    after: Ticket,
    events: Sequence[TicketEvent],
    *,
    answers: bool = True,
) -> Done:
    """Stores and tells what an action made of a ticket; whoever was called and acts has answered with it.

    `answers` is not so for what an action on one ticket does to another one.
    """
    ends: Sequence[TicketEvent] = ()
    if answers:
        after, ends = after.answered_by(cause.actor)
    after = replace(after, last_fact_at=cause.recorded_at)
    facts = seal(cause, *events, *ends)
    await repository.store_ticket(tx, before, after, facts)
    await publish(tx, facts)
    return Done(after, tuple(fact.id for fact in facts))
