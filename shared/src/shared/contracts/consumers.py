"""Who receives what: the events that each service reacts to, held against its subscribers by the tests."""

from __future__ import annotations

from shared.contracts.envelope import Event
from shared.contracts.topics import CLIENTS, CONTRACTS, DEVLINK, ENVIRONMENTS, SLA, TICKETS, TOPICS

# What a service keeps of others, and may be told again: tickets shows everything that the others tell, and each of them
# keeps every ticket as it is now. A type more on one of these topics is asked of its projections by tests/contracts,
# and its subscribers follow from those.
PROJECTED: dict[str, tuple[type[Event], ...]] = {
    "tickets": tuple(event for topic in (ENVIRONMENTS, CLIENTS, SLA, CONTRACTS, DEVLINK) for event in topic.events),
    **dict.fromkeys(("inventory", "sla", "devlink"), TICKETS.events),
}

# The published language may not import the services, so that it is said here; tests/contracts compares it with what
# their subscribers are marked with. A type disappears only when nobody stands here for it any more.
CONSUMERS: dict[str, tuple[type[Event], ...]] = PROJECTED


def services() -> tuple[str, ...]:
    """Every service that sends or receives, in the order in which the registry names them."""
    return tuple(dict.fromkeys([*(topic.owner for topic in TOPICS), *CONSUMERS]))


def receivers(event: type[Event]) -> tuple[str, ...]:
    """The services that react to a type; none for a fact that is told for other systems only."""
    return tuple(service for service, events in CONSUMERS.items() if event in events)
