"""What happened to a ticket, whole, and what it means to each kind of clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from shared.contracts.envelope import Received
from shared.contracts.personal import holds_personal
from shared.contracts.sla import ClockKind
from shared.contracts.tickets import (
    TicketCancelled,
    TicketEvent,
    TicketHeld,
    TicketOpened,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from sla.domain.clock import Fact, FactKind

# No event of tickets: this service itself switches a clock to another version of its calendar.
SWITCHED = "calendar-switched"
# What of the ticket itself is kept with a fact: whatever a target may be chosen by.
_OF_THE_TICKET = {"groups", "installation_id", "kind", "severity", "priority", "reported_at"}

# To which clock each means what; None is both. The first answer to the client stops the response clock and leaves the
# resolution alone; a hold pauses the resolution where the contract allows its reason; the resolution stops both, since
# an answer that solves everything is a first response too. Reopening goes on with the resolution: the interval in which
# it was taken for settled counts as a pause. A switch names its clock itself.
MEANING: Mapping[str, tuple[FactKind, ClockKind | None]] = {
    TicketOpened.type: (FactKind.START, None),
    TicketResponded.type: (FactKind.STOP, "response"),
    TicketHeld.type: (FactKind.PAUSE, "resolution"),
    TicketReleased.type: (FactKind.RESUME, "resolution"),
    TicketResolved.type: (FactKind.STOP, None),
    TicketReopened.type: (FactKind.REOPEN, "resolution"),
    TicketCancelled.type: (FactKind.CANCEL, None),
    SWITCHED: (FactKind.SWITCH, None),
}


@dataclass(frozen=True, slots=True)
class TicketFact:
    """Something that happened to a ticket, as it was told; what it means to a clock is said by MEANING, at each fold.

    `fact_id` is the id of the event that told it, `sequence` that event's position at its owner. `carried` is what it
    said, as JSON, without what is personal.
    """

    ticket_id: UUID
    fact_id: UUID
    type: str
    occurred_at: datetime
    sequence: int
    carried: Mapping[str, Any]

    def meaning(self) -> Fact:
        """The fact as clocks see it."""
        return meaning_of(self.fact_id, self.type, self.occurred_at, self.sequence, self.carried)


def meaning_of(fact_id: UUID, type_name: str, occurred_at: datetime, sequence: int, carried: Mapping[str, Any]) -> Fact:
    """What a fact means to clocks. They start when the client reported, not when the ticket was opened."""
    kind, concerns = MEANING[type_name]
    reported_at, told_at = carried.get("reported_at"), carried.get("told_at")
    starts = kind is FactKind.START and reported_at is not None
    return Fact(
        fact_id=fact_id,
        kind=kind,
        occurred_at=datetime.fromisoformat(str(reported_at)) if starts else occurred_at,
        sequence=sequence,
        concerns=cast("ClockKind | None", carried.get("clock", concerns)),
        reason=carried.get("reason") if kind is FactKind.PAUSE else None,
        calendar_version=carried.get("calendar_version"),
        told_at=None if told_at is None else datetime.fromisoformat(str(told_at)),
    )


def told_by(event: Received[TicketEvent]) -> TicketFact:
    """The fact that an event tells, with what of its ticket a target may be chosen by; nothing that is personal."""
    data = event.data
    said = data.model_dump(mode="json", exclude={"ticket_id", "ticket", *_personal_parts(type(data))})
    carried = {**said, **data.ticket.model_dump(mode="json", include=_OF_THE_TICKET)}
    return TicketFact(data.ticket_id, event.id, data.type, event.occurred_at, event.sequence, carried)


# Facts are never changed, so nothing that somebody may ask to have erased gets into them, not even within a part.
@lru_cache(maxsize=64)
def _personal_parts(event: type[TicketEvent]) -> frozenset[str]:
    return frozenset(
        name
        for name, field in event.model_fields.items()
        if any(holds_personal(part) for part in (field.annotation, *field.metadata))
    )
