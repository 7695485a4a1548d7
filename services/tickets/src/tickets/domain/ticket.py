"""One ticket: its facts, and the actions that move it. Each gives the new ticket and the events that it caused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Part
from shared.contracts.tickets import (
    AttentionReason,
    Channel,
    ClosedBecause,
    HoldBrief,
    HoldReason,
    ParticipantRole,
    ReleasedBecause,
    Status,
    Target,
    TicketAssigned,
    TicketAttentionCleared,
    TicketAttentionRaised,
    TicketBrief,
    TicketCancelled,
    TicketClosed,
    TicketCommented,
    TicketDeescalated,
    TicketEscalated,
    TicketEvent,
    TicketHandedOver,
    TicketHeld,
    TicketOpened,
    TicketParticipantJoined,
    TicketParticipantLeft,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from shared.errors import NotFound
from shared.lateness import require_after
from tickets.domain.attention import Attention, NothingCalls, addressee_of, answered, can_call
from tickets.domain.closing import ClosingTerms, require_reopenable, usual_terms, windows_after
from tickets.domain.escalation import ANALYSTS, EVERYWHERE, LEVEL_OF, Reach, check_step
from tickets.domain.hands import AlreadyAssigned, AlreadyOwned, Participant, hands_left, joined, left
from tickets.domain.holding import check_wake_at
from tickets.domain.opening import Handover, Opening
from tickets.domain.scheme import Scheme
from tickets.domain.urgency import needs_immediate_attention, reopened
from tickets.domain.workflow import Action, status_after


class TicketNotFound(NotFound):
    """There is no ticket with that id."""

    code = "ticket-not-found"
    title = "No such ticket"


_NO_HOLD: Mapping[str, None] = {"hold_reason": None, "hold_note": None, "held_at": None, "wake_at": None}
_NOT_RESOLVED: Mapping[str, None] = dict.fromkeys(
    ("resolution_code", "resolution_text", "resolved_at", "reopenable_until", "closes_at")
)
# What brought the work where it is; in any other status it goes on after a hold, or a resolution that was none.
_CAME_TO: Mapping[Status, str] = {"on_hold": "was put on hold", "resolved": "was resolved"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as its facts left it. `target` is None while the call centre has it; `version` counts commands.

    `owner` keeps the contact with the client, `assignee` works on it, `team` has it in its queue, `participants` take
    part beside them. `last_hands` is who had it last on each level (as text) that it left, `attention` whom it calls.
    `classification` is the version at which product, module and installation came to be what they are.

    `last_fact_at` is when the latest of its own facts was recorded: the next one comes after it. `course_at` is when
    the work on it came to run, rest or be done as it does: what is told late of that happened after it. Until
    `reopenable_until` it may come back, whatever becomes of its contract since; at `closes_at` it closes by itself.
    """

    id: UUID
    number: str
    version: int
    status: Status
    opening: Opening
    opened_at: datetime
    opened_by: str
    last_fact_at: datetime
    course_at: datetime
    owner: str
    classification: int = 1
    level: int = 1
    target: Target | None = None
    team: str | None = None
    assignee: str | None = None
    participants: tuple[Participant, ...] = ()
    last_hands: Mapping[str, str] = field(default_factory=dict)
    attention: tuple[Attention, ...] = ()
    hold_reason: HoldReason | None = None
    hold_note: str | None = None
    held_at: datetime | None = None
    wake_at: datetime | None = None
    first_responded_at: datetime | None = None
    resolution_code: str | None = None
    resolution_text: str | None = None
    resolved_at: datetime | None = None
    reopenable_until: datetime | None = None
    closes_at: datetime | None = None
    closed_at: datetime | None = None
    reopenings: int = 0
    cancelled_at: datetime | None = None

    @classmethod
    def open(
        cls,
        id: UUID,
        number: str,
        opening: Opening,
        *,
        team: str | None = None,
        at: datetime,
        by: str,
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Registers a ticket at level 1, in a team's queue and nobody's hands; its clocks start at
        `opening.reported_at`.
        """
        ticket = cls(
            id=id,
            number=number,
            version=1,
            status="new",
            opening=opening,
            opened_at=at,
            opened_by=by,
            last_fact_at=at,
            course_at=opening.reported_at,
            owner=by,
            team=team,
        )
        return ticket, (ticket.fact_of(TicketOpened),)

    def assign(self, assignee: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Puts the ticket into somebody's hands. Raises AlreadyAssigned, or what the workflow raises."""
        ticket = self._moved("assign", assignee=assignee)
        if assignee == self.assignee:
            raise AlreadyAssigned(f"{self.number} is already assigned to {assignee}")
        return ticket, (ticket.fact_of(TicketAssigned, previous_assignee=self.assignee),)

    def escalate(
        self,
        escalation_id: UUID,
        target: Target,
        reason: str,
        handover: Handover,
        reach: Reach = ANALYSTS,
        tried: str | None = None,
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Hands the ticket up to a target's queue, where nobody has taken it yet.

        A P1/S1 goes as far as it must, whoever hands it up; any other as far as `reach`. Raises NotYoursToDerive,
        LevelSkipped, NotAStep, or what the workflow raises.
        """
        level = LEVEL_OF[target]
        ticket = self._moved(
            "escalate",
            level=level,
            target=target,
            team=handover.team,
            assignee=None,
            last_hands=hands_left(self.last_hands, self.level, self.assignee),
        )
        check_step(self.number, self.target, target, EVERYWHERE if self.is_immediate else reach)
        event = ticket.fact_of(
            TicketEscalated,
            escalation_id=escalation_id,
            from_level=self.level,
            to_level=ticket.level,
            reason=reason,
            tried=tried,
            environment=handover.environment,
            resolution_due_at=handover.resolution_due_at,
        )
        return ticket, (event,)

    @property
    def target_below(self) -> Target | None:
        """Who has it one level down; None is the call centre."""
        return "analysts" if self.level == 3 else None

    def deescalate(self, reason: str, team: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Brings the ticket one level down, to the last one who had it there, else into that level's queue.

        Raises what the workflow raises.
        """
        level = self.level - 1
        ticket = self._moved(
            "de-escalate",
            level=level,
            target=self.target_below,
            team=team,
            assignee=self.last_hands.get(str(level)),
            last_hands=hands_left(self.last_hands, self.level, self.assignee),
        )
        event = ticket.fact_of(TicketDeescalated, from_level=self.level, to_level=level, reason=reason)
        return ticket, (event,)

    def hand_over(self, owner: str, reason: str | None) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Lets somebody else keep the contact with the client. Raises AlreadyOwned, or what the workflow raises."""
        ticket = self._moved("hand-over", owner=owner)
        if owner == self.owner:
            raise AlreadyOwned(f"{self.number} is already {owner}'s: name somebody else")
        return ticket, (ticket.fact_of(TicketHandedOver, previous_owner=self.owner, reason=reason),)

    def join(self, person_id: str, role: ParticipantRole, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Lets somebody take part. Raises AlreadyTakesPart, or what the workflow raises."""
        ticket = self._moved("join")
        ticket = replace(ticket, participants=joined(self.number, self.participants, person_id, role, at))
        return ticket, (ticket.fact_of(TicketParticipantJoined, person_id=person_id, role=role),)

    def leave(self, person_id: str, role: ParticipantRole) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends somebody's part. Raises TakesNoPart, or what the workflow raises."""
        ticket = self._moved("leave")
        ticket = replace(ticket, participants=left(self.number, self.participants, person_id, role))
        return ticket, (ticket.fact_of(TicketParticipantLeft, person_id=person_id, role=role),)

    def comment(self, text: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Keeps something for the house, in whatever state. Changes nothing else."""
        ticket = self._moved("note")
        return ticket, (ticket.fact_of(TicketCommented, text=text),)

    def hold(
        self,
        reason: HoldReason,
        note: str,
        *,
        at: datetime,
        now: datetime,
        wake_at: datetime | None = None,
        late_reason: str | None = None,
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Stops work for a reason; whether a clock pauses is the contract's matter.

        As for `release` and `resolve`, `at` is not before the work came to run or rest as it does, and `late_reason`
        says why it is told late. `wake_at` is when it ends by itself, and needed for a date that was agreed.
        Raises WakeAtMissing, WakeAtOutOfReach, OccurredBeforeItBegan, or what the workflow raises.
        """
        ticket = self._turned("hold", at, hold_reason=reason, hold_note=note, held_at=at, wake_at=wake_at)
        check_wake_at(reason, wake_at, now)
        return ticket, (ticket.fact_of(TicketHeld, reason=reason, note=note, occurred_late_reason=late_reason),)

    def release(
        self, *, at: datetime, late_reason: str | None = None, because: ReleasedBecause = "asked"
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends the hold."""
        ticket = self._turned("release", at, **_NO_HOLD)
        event = ticket.fact_of(
            TicketReleased, reason=self.hold_reason, because=because, occurred_late_reason=late_reason
        )
        return ticket, (event,)

    def respond(
        self, channel: Channel, text: str, *, at: datetime, late_reason: str | None = None
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Notes what the client was told; the first time stops the response clock, and none is told before that one.

        Raises OccurredBeforeItBegan, or what the workflow raises.
        """
        first = self.first_responded_at is None
        ticket = self._moved("respond", first_responded_at=at if first else self.first_responded_at)
        if self.first_responded_at is not None:
            require_after(at, self.first_responded_at, f"the client of {self.number} was first told something")
        require_after(at, self.opening.reported_at, f"{self.number} was reported")
        event = ticket.fact_of(
            TicketResponded, first=first, channel=channel, text=text, occurred_late_reason=late_reason
        )
        return ticket, (event,)

    def resolve(
        self, code: str, text: str, *, at: datetime, late_reason: str | None = None, terms: ClosingTerms | None = None
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """The service works again, or the question is answered; a running hold ends with it.

        By `terms`, else what is usual, it may come back and closes by itself.
        """
        ticket = self._turned("resolve", at, resolution_code=code, resolution_text=text, resolved_at=at, **_NO_HOLD)
        windows = windows_after(at, terms or usual_terms())
        ticket = replace(ticket, reopenable_until=windows.reopenable_until, closes_at=windows.closes_at)
        was_held = self.hold_reason is not None
        event = ticket.fact_of(
            TicketResolved, code=code, text=text, was_held=was_held, occurred_late_reason=late_reason
        )
        return ticket, (event,)

    def close(self, *, at: datetime, because: ClosedBecause = "asked") -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends the ticket; it may still be reopened for a while."""
        ticket = self._turned("close", at, closed_at=at, closes_at=None)
        return ticket, (ticket.fact_of(TicketClosed, because=because),)

    def reopen(
        self, reason: str, *, at: datetime, scheme: Scheme | None = None
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Goes on with what was taken for settled; `scheme` judged it, and may hold it for more urgent the so-manieth
        time. Raises ReopenWindowPassed, or what the workflow raises."""
        ticket = self._turned("reopen", at, closed_at=None, reopenings=self.reopenings + 1, **_NOT_RESOLVED)
        require_reopenable(self.number, self.reopenable_until, at)
        ticket = replace(ticket, opening=reopened(self.opening, scheme, ticket.reopenings))
        return ticket, (ticket.fact_of(TicketReopened, reason=reason, previous_status=self.status),)

    def cancel(self, reason: str, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends what should not have been opened; a running hold ends with it."""
        ticket = self._turned("cancel", at, cancelled_at=at, **_NO_HOLD)
        return ticket, (ticket.fact_of(TicketCancelled, reason=reason),)

    def call(self, reason: AttentionReason, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Calls whom that concerns. Nothing changes where they are called for it already, or the state calls nobody."""
        called, calls = replace(self, version=self.version + 1).calling(reason, at)
        return (called, calls) if calls else (self, ())

    def calling(self, reason: AttentionReason, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """The same as a part of another command."""
        whom = addressee_of(reason, self.assignee)
        called = any((one.reason, one.addressee) == (reason, whom) for one in self.attention)
        if called or not can_call(reason, self.status):
            return self, ()
        ticket = replace(self, attention=(*self.attention, Attention(reason, whom, at)))
        return ticket, (ticket.fact_of(TicketAttentionRaised, reason=reason, addressee=whom),)

    def wake(self, *, at: datetime, because: ReleasedBecause) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends the hold without anybody having asked, and calls whoever works on it: one command."""
        released, ends = self.release(at=at, because=because)
        called, calls = released.calling("hold-ended", at)
        return called, (*ends, *calls)

    def answered_by(self, actor: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """What is left of its calls once this one did something to it; their ends belong to that command."""
        kept, gone = answered(self.attention, actor, owner=self.owner, assignee=self.assignee, status=self.status)
        return _called_no_more(self, kept, gone)

    def answer(self, reason: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends every call for one reason, by somebody who says that there is nothing to do. Raises NothingCalls."""
        gone = tuple(one for one in self.attention if one.reason == reason)
        if not gone:
            raise NothingCalls(f"{self.number} calls nobody because of '{reason}': look at it to see what it calls for")
        kept = tuple(one for one in self.attention if one.reason != reason)
        return _called_no_more(replace(self, version=self.version + 1), kept, gone)

    def brief(self) -> TicketBrief:
        """The ticket as every event of it carries it."""
        own, of_opening = _fields_of(TicketBrief)
        known = {name: getattr(self, name) for name in own} | {name: getattr(self.opening, name) for name in of_opening}
        return TicketBrief(**known, immediate=self.is_immediate, hold=self._hold())

    def _hold(self) -> HoldBrief | None:
        if self.hold_reason is None or self.held_at is None:
            return None
        return HoldBrief(reason=self.hold_reason, since=self.held_at, wake_at=self.wake_at)

    @property
    def is_immediate(self) -> bool:
        """Whether it is P1/S1."""
        return needs_immediate_attention(self.opening.severity, self.opening.priority)

    def fact_of(self, event: type[TicketEvent], **told: Any) -> TicketEvent:
        """The event of a fact of this ticket, as it is now; what is not told is the field of that name."""
        own, of_opening = _fields_of(event)
        known = {name: getattr(self, name) for name in own} | {name: getattr(self.opening, name) for name in of_opening}
        return event(**(known | {"ticket_id": self.id, "ticket": self.brief()} | told))

    def _moved(self, action: Action, **changes: Any) -> Ticket:
        status = status_after(self.number, self.status, self.level, action)
        return replace(self, status=status, version=self.version + 1, **changes)

    def _turned(self, action: Action, at: datetime, **changes: Any) -> Ticket:
        """Moved by an action after which the work runs, rests or is done since that instant."""
        ticket = self._moved(action, course_at=at, **changes)
        require_after(at, self.opening.reported_at, f"{self.number} was reported")
        require_after(at, self.course_at, f"{self.number} {_CAME_TO.get(self.status, 'was released or reopened')}")
        return ticket


def _called_no_more(
    ticket: Ticket, kept: tuple[Attention, ...], gone: tuple[Attention, ...]
) -> tuple[Ticket, tuple[TicketEvent, ...]]:
    after = replace(ticket, attention=kept)
    ends = (after.fact_of(TicketAttentionCleared, reason=one.reason, addressee=one.addressee) for one in gone)
    return after, tuple(ends)


@lru_cache
def _fields_of(part: type[Part]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which fields of a ticket, and of its opening, an event or a part of it has by the same name."""
    of_ticket = tuple(one.name for one in fields(Ticket) if one.name in part.model_fields)
    return of_ticket, tuple(one.name for one in fields(Opening) if one.name in part.model_fields)
