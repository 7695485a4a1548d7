"""What the sla service tells: calendars, contracts and their types, and the clocks of each ticket."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.calendars import WrittenCalendar
from shared.contracts.codes import written
from shared.contracts.envelope import Code, Event, Part, StateRecord
from shared.contracts.tickets import HoldReason, Kind, Priority, Severity

# What this service writes today; whoever reads an event takes any code in their places.
ClockKind = Literal["response", "resolution"]
ClockCourse = Literal["running", "paused", "stopped", "cancelled"]
ClockOutcome = Literal["pending", "met", "breached"]
ResumedBecause = Literal["released", "reopened", "corrected"]
RetargetedBecause = Literal["calendar-switched"]
ContractType = Literal["platino", "oro", "plata", "basico"]


# What a contract may say, and nothing else: a share of the target, or how long before it has run out.
SaidAs = Annotated[
    str,
    Field(
        pattern=r"^[1-9][0-9]{0,5}(%|[a-z]{1,6} before)$",
        description="a share of the target, `50%`, or how long before it has run out, `30min before`",
    ),
]


class TargetRule(Part):
    """A target of one clock, and for which tickets it is: whatever a rule does not name, it is for all of it."""

    clock: Annotated[str, written(ClockKind)]
    seconds: int = Field(gt=0, description="of open time of the calendar")
    calendar_id: Code
    kinds: tuple[Annotated[str, written(Kind)], ...] = ()
    product_ids: tuple[Code, ...] = ()
    module_ids: tuple[Code, ...] = ()
    severities: tuple[Severity, ...] = ()
    priorities: tuple[Priority, ...] = ()


class Terms(Part):
    """What is promised, whole. Of the rules that are for a ticket the most specific one holds, then the first."""

    targets: tuple[TargetRule, ...]
    pausing_holds: tuple[Annotated[str, written(HoldReason)], ...] = ("waiting-for-client", "agreed-date")
    reporting_calendar: Code = Field(description="in whose open time intervals and days are counted")
    reopen_days: int = Field(ge=0, description="so many business days after its resolution a ticket may come back")
    objection_days: int = Field(ge=0, description="so many business days after it a ticket closes by itself")


class ContractTypeRecorded(StateRecord):
    """A type of contract: what a contract of it promises unless it says something else."""

    type = "desk.contract-type.recorded.v1"
    noun = "contract-type"
    name: Annotated[str, Field(min_length=1)]
    version: int = Field(ge=1)
    terms: Terms


class ContractVersion(Part):
    """What was agreed from an instant on: the version of the highest number that has begun by then holds."""

    version: int = Field(ge=1)
    effective_from: AwareDatetime
    contract_type: Annotated[str, written(ContractType)]
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    product_ids: tuple[Code, ...] = Field(default=(), description="what it is for; empty: whatever the client has")
    terms: Terms


class ContractRecorded(StateRecord):
    """A contract: who, and every version with what it promises, whole."""

    type = "desk.contract.recorded.v1"
    noun = "contract"
    client_id: Code
    versions: tuple[ContractVersion, ...] = Field(min_length=1, description="by number")


class CalendarRecorded(StateRecord):
    """One version of a calendar that was activated; it never changes. A clock names the versions that it counts in."""

    type = "desk.calendar.recorded.v1"
    noun = "calendar"
    calendar_id: Code = Field(description="`id` is this and the version: comercial-v3")
    version: int = Field(ge=1)
    name: Annotated[str, Field(min_length=1)]
    effective_from: AwareDatetime | None = Field(description="None: always, for what no other version is for")
    calendar: WrittenCalendar


class Threshold(Part):
    """A place on the way to the target at which somebody is warned: where it lies, and how the contract says it."""

    seconds: int = Field(gt=0, description="how many have been counted when it is reached")
    said_as: SaidAs


class CountedIn(Part):
    """The version of a calendar in which a clock counts from an instant on."""

    from_at: AwareDatetime
    calendar_id: Code
    calendar_version: int = Field(ge=1)


class ClockState(Part):
    """A clock as it stands; whatever is told of it together carries the same, which is how all of that left it.

    What is left at an instant: the target less what was counted, and while it runs less the open seconds since `since`
    in the calendars of `counted_in`. `shared.business_time` says how many these are.
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
    breached_at: AwareDatetime | None = Field(description="the first open second after it had run out")
    would_have_been_at: AwareDatetime | None = Field(
        description="where the breach would lie had one known earlier what made it one, which happened at `breached_at`"
    )
    counted_in: tuple[CountedIn, ...] = Field(min_length=1, description="the calendars that count, by their instants")


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


class SlaClockRetargeted(ClockEvent):
    """Its due is another one, though nobody touched the ticket."""

    type = "desk.sla-clock.retargeted.v1"
    because: Annotated[str, written(RetargetedBecause)] = Field(
        description="`calendar-switched`: another version of its calendar counts from an instant on"
    )
    previous_due_at: AwareDatetime | None = Field(description="None while it was paused")


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
