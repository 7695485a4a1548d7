"""What the sla service tells: contracts in short, and the clocks of each ticket."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.envelope import Code, Event, Part, StateRecord
from shared.contracts.tickets import HoldReason, Severity

# What this service writes today; whoever reads an event takes any code in their places.
ClockKind = Literal["response", "resolution"]
ClockCourse = Literal["running", "paused", "stopped", "cancelled"]
ClockOutcome = Literal["pending", "met", "breached"]
ResumedBecause = Literal["released", "reopened", "corrected"]
ContractType = Literal["platino", "oro", "plata", "basico"]


# What a contract may say, and nothing else: a share of the target, or how long before it has run out.
SaidAs = Annotated[
    str,
    Field(
        pattern=r"^[1-9][0-9]{0,5}(%|[a-z]{1,6} before)$",
        description="a share of the target, `50%`, or how long before it has run out, `30min before`",
    ),
]


class PromisedTarget(Part):
    """What the contract promises for one severity, in seconds of its own calendar."""

    severity: Severity
    response_seconds: int = Field(gt=0)
    resolution_seconds: int = Field(gt=0)


class ContractRecorded(StateRecord):
    """A contract in short: who, which type, since when, what is promised, which holds pause."""

    type = "desk.contract.recorded.v1"
    noun = "contract"
    client_id: Code
    contract_type: Annotated[str, written(ContractType)]
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    product_ids: tuple[Code, ...] = Field(default=(), description="what it is for; empty: whatever the client has")
    targets: tuple[PromisedTarget, ...]
    pausing_holds: tuple[Annotated[str, written(HoldReason)], ...] = ("waiting-for-client", "agreed-date")


class Threshold(Part):
    """A place on the way to the target at which somebody is warned: where it lies, and how the contract says it."""

    seconds: int = Field(gt=0, description="how many have been counted when it is reached")
    said_as: SaidAs


class ClockState(Part):
    """A clock as it stands; whatever is told of it together carries the same, which is how all of that left it.

    What is left at an instant: the target less what was counted, and less what has passed since `since` while it runs.
    """

    clock_id: UUID
    kind: Annotated[str, written(ClockKind)]
    cycle: int = Field(ge=1, description="counts how often a clock of this kind was begun for the ticket")
    course: Annotated[str, written(ClockCourse)]
    outcome: Annotated[str, written(ClockOutcome)] = Field(
        description="`met` is provisional until the ticket can no longer be reopened"
    )
    contract_id: Code | None = Field(description="None: no contract, the default targets apply")
    contract_version: int = Field(ge=0)
    target_seconds: int = Field(gt=0)
    elapsed_seconds: int = Field(ge=0, description="what had been counted at `since`")
    started_at: AwareDatetime = Field(description="when the client reported")
    since: AwareDatetime = Field(description="when its present course began")
    due_at: AwareDatetime | None = Field(description="when it will have run out; None while it is paused")
    pause_reason: Annotated[str, written(HoldReason)] | None
    warned_as: SaidAs | None = Field(description="the furthest threshold that it has reached")
    breached_at: AwareDatetime | None = Field(description="when it had run out")


class ClockEvent(Event):
    """Any fact of one clock of one ticket, and the clock as it stands after it."""

    ticket_id: UUID
    clock: ClockState

    def subject(self) -> str:
        return str(self.clock.clock_id)

    def key(self) -> str:
        return str(self.ticket_id)


class SlaClockStarted(ClockEvent):
    """The clock counts from when the client reported."""

    type = "desk.sla-clock.started.v1"


class SlaClockPaused(ClockEvent):
    """The client holds the matter; what is left stays left."""

    type = "desk.sla-clock.paused.v1"


class SlaClockResumed(ClockEvent):
    """The clock runs on, towards a later due."""

    type = "desk.sla-clock.resumed.v1"
    because: Annotated[str, written(ResumedBecause)] = Field(
        description="the hold was released, the ticket reopened, or what was told late moved the due of a running clock"
    )


class SlaClockWarned(ClockEvent):
    """A threshold of the target was crossed."""

    type = "desk.sla-clock.warned.v1"
    threshold: Threshold
    crossed_at: AwareDatetime
    late_by_seconds: int = Field(default=0, ge=0, description="how late this system noticed, after a downtime")


class SlaClockBreached(ClockEvent):
    """The target was missed at `clock.breached_at`, whenever it was noticed."""

    type = "desk.sla-clock.breached.v1"
    late_by_seconds: int = Field(default=0, ge=0)


class SlaClockMet(ClockEvent):
    """The clock stopped in time; provisional until the ticket can no longer be reopened."""

    type = "desk.sla-clock.met.v1"


class SlaClockStopped(ClockEvent):
    """A breached clock stopped: the lateness is final."""

    type = "desk.sla-clock.stopped.v1"


class SlaClockCancelled(ClockEvent):
    """The ticket was cancelled: nothing is promised any more. A breach that there was stands."""

    type = "desk.sla-clock.cancelled.v1"
