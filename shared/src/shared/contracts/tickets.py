"""What the tickets service tells: the life of every ticket, keyed by ticket id."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.envelope import Code, Event, Part
from shared.contracts.personal import Personal

Kind = Literal["incident", "question"]
Severity = Annotated[int, Field(ge=1, le=4, description="1 stops the company, 4 stops nobody")]
Priority = Annotated[int, Field(ge=1, le=4, description="1 is the most urgent client condition")]
Level = Annotated[int, Field(ge=1, le=3)]
Target = Literal["analysts", "functional-analysis", "development"]
HoldReason = Literal["waiting-for-client", "agreed-date", "third-party", "development", "implementations"]
Channel = Literal["phone", "mail", "chat", "visit"]


class Groups(Part):
    """The groups of a ticket: client, product, module. Whatever the caller could not say is None, never guessed."""

    client_id: Code
    product_id: Code | None = None
    module_id: Code | None = None


class ImpactAnswers(Part):
    """What the caller answered to the two questions of severity, 1 the worst; None is «no sé», counted as 3."""

    operational: Annotated[int, Field(ge=1, le=4)] | None
    economic: Annotated[int, Field(ge=1, le=4)] | None


class TicketEvent(Event):
    """Any fact of a ticket's life; `version` is the ticket's after the command that caused it."""

    ticket_id: UUID
    number: str = Field(description="what people say on the telephone", examples=["T-000042"])
    version: int = Field(ge=1)

    def subject(self) -> str:
        return str(self.ticket_id)


class DatedTicketEvent(TicketEvent):
    """A fact that may be told after it happened; the envelope's `occurred_at` says when it did."""

    occurred_late_reason: Personal[str] | None = Field(default=None, description="why it was told late")


class TicketOpened(TicketEvent):
    """A representative registered an incident or a question; clocks start at `reported_at`."""

    type = "desk.ticket.opened.v1"
    kind: Kind
    groups: Groups
    installation_id: Code | None = Field(default=None, description="when the caller could say which one")
    severity: Severity
    severity_to_review: bool = Field(default=False, description="the impact was not known; level 2 looks at it")
    impact: ImpactAnswers | None = Field(default=None, description="None when the severity was said outright")
    priority: Priority
    title: Personal[str]
    description: Personal[str] = ""
    reporter: Personal[str] | None = Field(default=None, description="who called at the client")
    channel: Channel = "phone"
    reported_at: AwareDatetime
    reported_late_reason: Personal[str] | None = Field(default=None, description="why it was registered late")
    opened_by: str


class TicketAssigned(TicketEvent):
    """Somebody took the ticket, or was given it."""

    type = "desk.ticket.assigned.v1"
    assignee: str
    previous_assignee: str | None = None
    level: Level


class EnvironmentBrief(Part):
    """What the desk knew of the client's environment when it handed the ticket over."""

    installation_id: Code
    product_version: str
    customised_modules: tuple[Code, ...] = ()


class TicketEscalated(TicketEvent):
    """The ticket went up; carries all that the receiving side needs, so that nobody has to call back."""

    type = "desk.ticket.escalated.v1"
    escalation_id: UUID = Field(description="one escalation is one reference in whatever tracker takes it")
    from_level: Level
    to_level: Level
    target: Target
    reason: Personal[str]
    groups: Groups
    kind: Kind
    severity: Severity
    priority: Priority
    title: Personal[str]
    description: Personal[str] = ""
    environment: EnvironmentBrief | None = None
    resolution_due_at: AwareDatetime | None = None


class TicketResponded(DatedTicketEvent):
    """The client was told something of substance; the first one stops the response clock."""

    type = "desk.ticket.responded.v1"
    first: bool
    channel: Channel
    text: Personal[str]


class TicketHeld(DatedTicketEvent):
    """Work stopped for a reason; whether a clock pauses is the contract's matter."""

    type = "desk.ticket.held.v1"
    reason: HoldReason
    note: Personal[str]


class TicketReleased(DatedTicketEvent):
    """The hold ended."""

    type = "desk.ticket.released.v1"
    reason: HoldReason = Field(description="the reason of the hold that ended")


class TicketResolved(DatedTicketEvent):
    """The service works again for the client, or the question is answered."""

    type = "desk.ticket.resolved.v1"
    code: Code
    text: Personal[str]
    was_held: bool = Field(default=False, description="a hold was running and ended with it")


class TicketClosed(TicketEvent):
    """Nothing more will happen to the ticket."""

    type = "desk.ticket.closed.v1"
