"""One ticket: its facts, and the actions that move it. Each gives the new ticket and the events that it caused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.tickets import (
    Channel,
    EnvironmentBrief,
    Groups,
    HoldReason,
    ImpactAnswers,
    Kind,
    Target,
    TicketAssigned,
    TicketClosed,
    TicketEscalated,
    TicketEvent,
    TicketHeld,
    TicketOpened,
    TicketReleased,
    TicketResolved,
    TicketResponded,
)
from shared.errors import Conflict, NotFound
from tickets.domain.escalation import ANALYSTS, EVERYWHERE, LEVEL_OF, Reach, check_step
from tickets.domain.urgency import needs_immediate_attention
from tickets.domain.workflow import Action, Status, status_after


class TicketNotFound(NotFound):
    """There is no ticket with that id."""

    code = "ticket-not-found"
    title = "No such ticket"


class AlreadyAssigned(Conflict):
    """The ticket is in that person's hands already."""

    code = "already-assigned"
    title = "The ticket is already assigned to this person"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a representative registers, checked. `reported_late_reason` only for a late registration."""

    kind: Kind
    groups: Groups
    installation_id: str | None
    severity: int
    severity_to_review: bool
    priority: int
    title: str
    description: str
    reporter: str | None
    channel: Channel
    reported_at: datetime
    reported_late_reason: str | None


@dataclass(frozen=True, slots=True)
class Handover:
    """What the desk knows beside the ticket when it hands it up."""

    environment: EnvironmentBrief | None
    resolution_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as its facts left it. `target` is None while the call centre has it; `version` counts commands.

    `last_fact_at` is when the latest of its own facts was recorded: the next one comes after it.
    """

    id: UUID
    number: str
    version: int
    status: Status
    opening: Opening
    opened_at: datetime
    opened_by: str
    last_fact_at: datetime
    level: int = 1
    target: Target | None = None
    assignee: str | None = None
    hold_reason: HoldReason | None = None
    hold_note: str | None = None
    held_at: datetime | None = None
    first_responded_at: datetime | None = None
    resolution_code: str | None = None
    resolution_text: str | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None

    @classmethod
    def open(
        cls, id: UUID, number: str, opening: Opening, *, impact: ImpactAnswers | None = None, at: datetime, by: str
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Registers a ticket at level 1, in nobody's hands; its clocks start at `opening.reported_at`.

        `impact` is what the severity followed from; the ticket keeps the severity, the history keeps the answers.
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
        )
        event = ticket.tell(
            TicketOpened,
            kind=opening.kind,
            groups=opening.groups,
            installation_id=opening.installation_id,
            severity=opening.severity,
            severity_to_review=opening.severity_to_review,
            impact=impact,
            priority=opening.priority,
            title=opening.title,
            description=opening.description,
            reporter=opening.reporter,
            channel=opening.channel,
            reported_at=opening.reported_at,
            reported_late_reason=opening.reported_late_reason,
            opened_by=by,
        )
        return ticket, (event,)

    def assign(self, assignee: str) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Puts the ticket into somebody's hands. Raises AlreadyAssigned, or what the workflow raises."""
        ticket = self._moved("assign", assignee=assignee)
        if assignee == self.assignee:
            raise AlreadyAssigned(f"{self.number} is already assigned to {assignee}")
        event = ticket.tell(TicketAssigned, assignee=assignee, previous_assignee=self.assignee, level=ticket.level)
        return ticket, (event,)

    def escalate(
        self, escalation_id: UUID, target: Target, reason: str, handover: Handover, reach: Reach = ANALYSTS
    ) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Hands the ticket up to a target's queue, where nobody has taken it yet.

        A P1/S1 goes as far as it must, whoever hands it up; any other as far as `reach`. Raises NotYoursToDerive,
        LevelSkipped, NotAStep, or what the workflow raises.
        """
        ticket = self._moved("escalate", level=LEVEL_OF[target], target=target, assignee=None)
        check_step(self.number, self.target, target, EVERYWHERE if self.is_immediate else reach)
        event = ticket.tell(
            TicketEscalated,
            escalation_id=escalation_id,
            from_level=self.level,
            to_level=ticket.level,
            target=target,
            reason=reason,
            groups=self.opening.groups,
            kind=self.opening.kind,
            severity=self.opening.severity,
            priority=self.opening.priority,
            title=self.opening.title,
            description=self.opening.description,
            environment=handover.environment,
            resolution_due_at=handover.resolution_due_at,
        )
        return ticket, (event,)

    def hold(self, reason: HoldReason, note: str, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Stops work for a reason; whether a clock pauses is the contract's matter."""
        ticket = self._moved("hold", hold_reason=reason, hold_note=note, held_at=at)
        return ticket, (ticket.tell(TicketHeld, reason=reason, note=note),)

    def release(self) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends the hold."""
        ticket = self._moved("release", hold_reason=None, hold_note=None, held_at=None)
        return ticket, (ticket.tell(TicketReleased, reason=self.hold_reason),)

    def respond(self, channel: Channel, text: str, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Notes what the client was told; the first time stops the response clock."""
        first = self.first_responded_at is None
        ticket = self._moved("respond", first_responded_at=at if first else self.first_responded_at)
        return ticket, (ticket.tell(TicketResponded, first=first, channel=channel, text=text),)

    def resolve(self, code: str, text: str, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """The service works again, or the question is answered; a running hold ends with it."""
        ticket = self._moved(
            "resolve",
            resolution_code=code,
            resolution_text=text,
            resolved_at=at,
            hold_reason=None,
            hold_note=None,
            held_at=None,
        )
        event = ticket.tell(TicketResolved, code=code, text=text, was_held=self.hold_reason is not None)
        return ticket, (event,)

    def close(self, *, at: datetime) -> tuple[Ticket, tuple[TicketEvent, ...]]:
        """Ends the ticket for good."""
        ticket = self._moved("close", closed_at=at)
        return ticket, (ticket.tell(TicketClosed),)

    @property
    def is_immediate(self) -> bool:
        """Whether it is P1/S1."""
        return needs_immediate_attention(self.opening.severity, self.opening.priority)

    def _moved(self, action: Action, **changes: Any) -> Ticket:
        status = status_after(self.number, self.status, action)
        return replace(self, status=status, version=self.version + 1, **changes)

    def tell(self, event: type[TicketEvent], **data: Any) -> TicketEvent:
        """The event of a fact of this ticket, with the version that it has now."""
        return event(ticket_id=self.id, number=self.number, version=self.version, **data)
