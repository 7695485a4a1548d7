"""What the sla service tells: contracts in short, and the clocks of each ticket."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.envelope import Code, Event, Part, StateRecord
from shared.contracts.tickets import HoldReason, Severity

ClockKind = Literal["response", "resolution"]
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
    contract_type: ContractType
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    targets: tuple[PromisedTarget, ...]
    pausing_holds: tuple[HoldReason, ...] = ("waiting-for-client", "agreed-date")


class Threshold(Part):
    """A place on the way to the target at which somebody is warned: where it lies, and how the contract says it."""

    seconds: int = Field(gt=0, description="how many have been counted when it is reached")
    said_as: SaidAs


class ClockEvent(Event):
    """Any fact of one clock of one ticket. `sequence` orders them; each carries the state that it left."""

    ticket_id: UUID
    clock_id: UUID
    kind: ClockKind

    def subject(self) -> str:
        return str(self.clock_id)

    def key(self) -> str:
        return str(self.ticket_id)


class SlaClockStarted(ClockEvent):
    """The clock runs; `started_at` is when the client reported, `due_at` when it will have run out."""

    type = "desk.sla-clock.started.v1"
    contract_id: Code | None = Field(description="None: no contract, the default targets apply")
    contract_version: int = Field(ge=0)
    target_seconds: int = Field(gt=0)
    started_at: AwareDatetime
    due_at: AwareDatetime


class SlaClockPaused(ClockEvent):
    """The client holds the matter; what is left stays left."""

    type = "desk.sla-clock.paused.v1"
    paused_at: AwareDatetime
    remaining_seconds: int = Field(description="negative once the clock had run out")
    reason: HoldReason


class SlaClockResumed(ClockEvent):
    """The clock runs again, towards a later due."""

    type = "desk.sla-clock.resumed.v1"
    resumed_at: AwareDatetime
    due_at: AwareDatetime


class SlaClockWarned(ClockEvent):
    """A threshold of the target was crossed."""

    type = "desk.sla-clock.warned.v1"
    threshold: Threshold
    crossed_at: AwareDatetime
    due_at: AwareDatetime
    late_by_seconds: int = Field(default=0, ge=0, description="how late this system noticed, after a downtime")


class SlaClockBreached(ClockEvent):
    """The target was missed at `breached_at`, whenever it was noticed."""

    type = "desk.sla-clock.breached.v1"
    breached_at: AwareDatetime
    due_at: AwareDatetime
    late_by_seconds: int = Field(default=0, ge=0)


class SlaClockMet(ClockEvent):
    """The clock stopped in time; provisional until the ticket can no longer be reopened."""

    type = "desk.sla-clock.met.v1"
    stopped_at: AwareDatetime
    elapsed_seconds: int = Field(ge=0)
    remaining_seconds: int = Field(ge=0)


class SlaClockStopped(ClockEvent):
    """A breached clock stopped: the lateness is final."""

    type = "desk.sla-clock.stopped.v1"
    stopped_at: AwareDatetime
    elapsed_seconds: int = Field(ge=0)
    late_seconds: int = Field(ge=0)
