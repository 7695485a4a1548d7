"""Who receives what: the events that each service reacts to, held against its subscribers by the tests."""

from __future__ import annotations

from shared.contracts import devlink, inventory, sla, tickets
from shared.contracts.envelope import Event
from shared.contracts.topics import TOPICS

# The published language may not import the services, so that it is said here; tests/contracts compares it with what
# their subscribers are marked with. A type disappears only when nobody stands here for it any more.
CONSUMERS: dict[str, tuple[type[Event], ...]] = {
    "tickets": (
        inventory.EnvironmentResolved,
        inventory.EnvironmentUnknown,
        inventory.ClientRecorded,
        inventory.ProductRecorded,
        inventory.ModuleRecorded,
        inventory.InstallationRecorded,
        sla.SlaClockStarted,
        sla.SlaClockPaused,
        sla.SlaClockResumed,
        sla.SlaClockWarned,
        sla.SlaClockBreached,
        sla.SlaClockMet,
        sla.SlaClockStopped,
        sla.ContractRecorded,
        devlink.DevTaskLinked,
        devlink.DevTaskStatusChanged,
    ),
    "inventory": (tickets.TicketOpened,),
    "sla": (
        tickets.TicketOpened,
        tickets.TicketResponded,
        tickets.TicketHeld,
        tickets.TicketReleased,
        tickets.TicketResolved,
    ),
    "devlink": (tickets.TicketEscalated,),
}


def services() -> tuple[str, ...]:
    """Every service that sends or receives, in the order in which the registry names them."""
    return tuple(dict.fromkeys([*(topic.owner for topic in TOPICS), *CONSUMERS]))


def receivers(event: type[Event]) -> tuple[str, ...]:
    """The services that react to a type; none for a fact that is told for other systems only."""
    return tuple(service for service, events in CONSUMERS.items() if event in events)
