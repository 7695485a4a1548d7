"""A host of sla in short: one clock, the facts that it has heard, and what it has told of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.contracts.envelope import Cause, Origin, Sealed
from shared.contracts.sla import ClockEvent
from sla.commands import clocks as commands
from sla.domain.clock import Clock, Fact, Terms
from sla.domain.ticket_clock import TicketClock
from tests.sla.domain.lives import CALENDARS, at


def ticket_clock(terms: Terms, *, origin: Origin = "live") -> TicketClock:
    """The clock of a client without a contract, before its start is known."""
    return TicketClock(
        id=UUID(int=7),
        ticket_id=UUID(int=8),
        client_id="acme",
        contract_id=None,
        contract_version=0,
        cycle=1,
        terms=terms,
        origin=origin,
        correlation_id="r",
    )


@dataclass
class Host:
    """What one database knows of a clock, and what it has told by the ids of the events."""

    clock: TicketClock
    heard: list[Fact] = field(default_factory=list)
    told: list[tuple[UUID, ClockEvent]] = field(default_factory=list)

    def dumped(self) -> Host:
        """The same, as of now."""
        return Host(replace(self.clock), list(self.heard), list(self.told))

    def hear(self, fact: Fact, now: float) -> list[ClockEvent]:
        """A fact arrives; the events that this brings."""
        self.heard.append(fact)
        happened = self.clock.refold(self.heard, at(now), CALENDARS)
        cause = replace(_cause(now), occurred_at=fact.occurred_at, causation_id=str(fact.fact_id))
        return self._tell(commands._sealed([(self.clock, cause, happened)]))

    def look(self, now: float) -> list[ClockEvent]:
        """The timers find the clock as it is now; the events that this brings."""
        return self._tell(
            commands._sealed([(self.clock, _cause(now), self.clock.pass_time(at(now), CALENDARS))], by_time=True)
        )

    def published(self) -> list[ClockEvent]:
        """What left this host: nothing is told again under an id under which something was told before."""
        first: dict[UUID, ClockEvent] = {}
        for event_id, event in self.told:
            first.setdefault(event_id, event)
        return list(first.values())

    @property
    def stored(self) -> Clock:
        """The clock as it is kept; its start was heard."""
        assert self.clock.clock is not None
        return self.clock.clock

    def _tell(self, sealed: list[Sealed[ClockEvent]]) -> list[ClockEvent]:
        self.told += [(one.id, one.data) for one in sealed]
        return [one.data for one in sealed]


def _cause(now: float) -> Cause:
    return Cause(actor="system:sla", occurred_at=at(now), recorded_at=at(now), correlation_id="r")
