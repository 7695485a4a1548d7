"""What the tickets service tells: the life of every ticket, keyed by ticket id."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.codes import PersonId, written
from shared.contracts.envelope import Code, Event, Part
from shared.contracts.personal import Personal

# What this service writes today; whoever reads an event takes any code in their places.
Kind = Literal["incident", "question"]
Status = Literal["new", "in_progress", "on_hold", "resolved", "closed", "cancelled"]
Target = Literal["analysts", "functional-analysis", "development"]
HoldReason = Literal["waiting-for-client", "agreed-date", "third-party", "development", "implementations"]
Channel = Literal["phone", "mail", "chat", "visit"]
ParticipantRole = Literal["contact", "working", "watching"]
ReleasedBecause = Literal["asked", "wake-at", "warned"]
ClosedBecause = Literal["asked", "no-objection"]
# Why a ticket calls somebody, and whom.
AttentionReason = Literal["breached", "released", "declined", "hold-ended", "tell-client"]
Addressee = Literal["owner", "assignee", "team"]
# What a ticket is to another one, read from it: each but the last has its counterpart on the other.
Relation = Literal["duplicate_of", "has_duplicate", "caused_by", "cause_of", "related"]

Severity = Annotated[int, Field(ge=1, le=4, description="1 stops the company, 4 stops nobody")]
Priority = Annotated[int, Field(ge=1, le=4, description="1 is the most urgent client condition")]
Level = Annotated[int, Field(ge=1, description="1 call centre, 2 analysts, 3 functional analysis and Development")]
Number = Annotated[str, Field(description="what people say on the telephone", examples=["T-000042"])]


class Groups(Part):
    """The groups of a ticket: client, product, module. Whatever the caller could not say is None, never guessed."""

    client_id: Code | None = Field(description="None: the caller could not be identified")
    product_id: Code | None = None
    module_id: Code | None = None


class ImpactAnswers(Part):
    """What the caller answered to the two questions of severity, 1 the worst; None is «no sé», counted as 3."""

    operational: Annotated[int, Field(ge=1, le=4)] | None
    economic: Annotated[int, Field(ge=1, le=4)] | None


class HoldBrief(Part):
    """Why the work rests, and since when."""

    reason: Annotated[str, written(HoldReason)]
    since: AwareDatetime
    wake_at: AwareDatetime | None = Field(default=None, description="when it ends by itself, at the latest")


class TicketBrief(Part):
    """The ticket as it is after the fact: who keeps the present state of tickets needs nothing but the latest one."""

    number: Number
    version: int = Field(ge=1, description="goes up once per command")
    status: Annotated[str, written(Status)]
    level: Level
    target: Annotated[str, written(Target)] | None = Field(description="None while the call centre has it")
    team: Code | None = Field(description="whose queue it is in")
    owner: PersonId = Field(description="who keeps the contact with the client")
    assignee: PersonId | None = Field(description="who works on it; None: nobody has taken it")
    groups: Groups
    installation_id: Code | None = Field(description="when somebody could say which one")
    kind: Annotated[str, written(Kind)]
    severity: Severity
    priority: Priority
    immediate: bool = Field(description="P1/S1: attended at once")
    reported_at: AwareDatetime = Field(description="the start of the call: every clock counts from it")
    hold: HoldBrief | None


class TicketEvent(Event):
    """Any fact of a ticket's life, and the ticket as it is after it."""

    ticket_id: UUID
    ticket: TicketBrief

    def subject(self) -> str:
        return str(self.ticket_id)


class DatedTicketEvent(TicketEvent):
    """A fact that may be told after it happened; the envelope's `occurred_at` says when it did."""

    occurred_late_reason: Personal[str] | None = Field(default=None, description="why it was told late")


class TicketOpened(TicketEvent):
    """A representative registered an incident or a question; clocks start at `ticket.reported_at`."""

    type = "desk.ticket.opened.v1"
    severity_to_review: bool = Field(default=False, description="the impact was not known; level 2 looks at it")
    impact: ImpactAnswers | None = Field(default=None, description="None when the severity was said outright")
    title: Personal[str]
    description: Personal[str] = ""
    reporter: Personal[str] | None = Field(default=None, description="who called at the client")
    channel: Annotated[str, written(Channel)] = "phone"
    reported_late_reason: Personal[str] | None = Field(default=None, description="why it was registered late")


class TicketAssigned(TicketEvent):
    """Somebody took the ticket, or was given it."""

    type = "desk.ticket.assigned.v1"
    assignee: PersonId
    previous_assignee: PersonId | None = None


class TicketHandedOver(TicketEvent):
    """Somebody else keeps the contact with the client from now on."""

    type = "desk.ticket.handed-over.v1"
    owner: PersonId
    previous_owner: PersonId
    reason: Personal[str] | None = None


class TicketParticipantJoined(TicketEvent):
    """Somebody takes part in the ticket, beside its owner and its assignee."""

    type = "desk.ticket.participant-joined.v1"
    person_id: PersonId
    role: Annotated[str, written(ParticipantRole)]


class TicketParticipantLeft(TicketEvent):
    """Somebody takes part no more."""

    type = "desk.ticket.participant-left.v1"
    person_id: PersonId
    role: Annotated[str, written(ParticipantRole)]


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
    target: Annotated[str, written(Target)]
    reason: Personal[str]
    tried: Personal[str] | None = Field(default=None, description="what was tried, and what came of it")
    title: Personal[str]
    description: Personal[str] = ""
    environment: EnvironmentBrief | None = None
    resolution_due_at: AwareDatetime | None = None


class TicketDeescalated(TicketEvent):
    """The ticket came down: to the last one who had it there, else into that level's queue. Its tasks stay linked."""

    type = "desk.ticket.deescalated.v1"
    from_level: Level
    to_level: Level
    reason: Personal[str]


class Rerouting(Part):
    """The ticket went to the queue of another team: what that one covers. None stands for everything in its place."""

    from_team: Code | None
    client_id: Code | None = None
    product_id: Code | None = None
    module_id: Code | None = None


class TicketClassified(TicketEvent):
    """What nobody could say at opening is named now; None is what this does not name. Its environment is read anew.

    The version of `ticket` is the number of this classification: that of the opening is 1.
    """

    type = "desk.ticket.classified.v1"
    product_id: Code | None = Field(default=None, description="also where the module or the installation settles it")
    module_id: Code | None = None
    installation_id: Code | None = None
    rerouted: Rerouting | None = Field(default=None, description="when nobody had it, and another team covers it now")


class OtherTicket(Part):
    """The other end of a link."""

    ticket_id: UUID
    number: Number


class TicketLinked(TicketEvent):
    """This ticket has to do with another one; the same is told of that one, with the counterpart of the relation."""

    type = "desk.ticket.linked.v1"
    link_id: UUID
    relation: Annotated[str, written(Relation)] = Field(description="what this ticket is to the other one")
    other: OtherTicket
    reason: Personal[str] | None = None


class TicketUnlinked(TicketEvent):
    """A link ended; it is told of both tickets."""

    type = "desk.ticket.unlinked.v1"
    link_id: UUID
    relation: Annotated[str, written(Relation)] = Field(description="what this ticket was to the other one")
    other: OtherTicket
    reason: Personal[str] | None = None


class TicketCommented(TicketEvent):
    """Somebody wrote something down for the house; the client was told nothing."""

    type = "desk.ticket.commented.v1"
    text: Personal[str]


class TicketResponded(DatedTicketEvent):
    """The client was told something of substance; the first one stops the response clock."""

    type = "desk.ticket.responded.v1"
    first: bool
    channel: Annotated[str, written(Channel)]
    text: Personal[str]


class TicketHeld(DatedTicketEvent):
    """Work stopped for a reason; whether a clock pauses is the contract's matter."""

    type = "desk.ticket.held.v1"
    reason: Annotated[str, written(HoldReason)]
    note: Personal[str]


class TicketReleased(DatedTicketEvent):
    """The hold ended."""

    type = "desk.ticket.released.v1"
    reason: Annotated[str, written(HoldReason)] = Field(description="the reason of the hold that ended")
    because: Annotated[str, written(ReleasedBecause)] = Field(
        default="asked", description="somebody said so, its hour came, or a clock warned first"
    )


class TicketResolved(DatedTicketEvent):
    """The service works again for the client, or the question is answered."""

    type = "desk.ticket.resolved.v1"
    code: Code
    text: Personal[str]
    was_held: bool = Field(default=False, description="a hold was running and ended with it")


class TicketReopened(TicketEvent):
    """What was taken for settled is not: the same ticket goes on, and its resolution clock with it."""

    type = "desk.ticket.reopened.v1"
    reason: Personal[str]
    previous_status: Annotated[str, written(Status)] = Field(description="`resolved`, or `closed`")


class TicketClosed(TicketEvent):
    """Nothing is left to do about the ticket; it may still be reopened for a while."""

    type = "desk.ticket.closed.v1"
    because: Annotated[str, written(ClosedBecause)] = "asked"


class TicketCancelled(TicketEvent):
    """The ticket should not have been there: it ends without a resolution, and its clocks with it."""

    type = "desk.ticket.cancelled.v1"
    reason: Personal[str]


class TicketAttentionRaised(TicketEvent):
    """The ticket calls somebody: there is something to do that nobody asked for."""

    type = "desk.ticket.attention-raised.v1"
    reason: Annotated[str, written(AttentionReason)]
    addressee: Annotated[str, written(Addressee)]


class TicketAttentionCleared(TicketEvent):
    """Whoever was called has done something about it, or said that there is nothing to do."""

    type = "desk.ticket.attention-cleared.v1"
    reason: Annotated[str, written(AttentionReason)]
    addressee: Annotated[str, written(Addressee)]
