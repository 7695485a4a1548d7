"""The registry of topics: who owns each, how it is keyed and kept, and which events it carries."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from shared.contracts import devlink, inventory, sla, teams, tickets
from shared.contracts.envelope import Event, StateRecord
from shared.contracts.personal import holds_personal

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """One Kafka topic. `keyed_by` says what its keys are; `retention_days` has no meaning on a compacted topic.

    `open_copy` names a second topic on which the relay tells everything of this one without its personal fields.
    """

    name: str
    owner: str
    events: tuple[type[Event], ...]
    cleanup: Literal["delete", "compact"] = "delete"
    retention_days: int = 90
    partitions: int = 12
    settings: dict[str, str] = field(default_factory=dict, hash=False)
    keyed_by: str = "the id of the ticket"
    open_copy: str | None = None

    def config(self) -> dict[str, str]:
        """The topic's settings as the broker knows them.

        LogAppendTime, because imported events carry old times: by their own time retention would delete them at once.
        The compression is said although it is Kafka's default: a broker may have another, and records that were
        compressed anew cost every reader.
        """
        kept = {"retention.ms": str(self.retention_days * DAY_MS)} if self.cleanup == "delete" else {}
        return {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime",
            "compression.type": "producer",
            **kept,
            **self.settings,
        }

    @property
    def source(self) -> str:
        """The `ce_source` of everything on it: nobody but its owner tells it."""
        return f"/desk/{self.owner}"

    def is_personal(self) -> bool:
        """Whether any of its events may carry personal data; such topics are closed to outsiders."""
        return any(holds_personal(event) for event in self.events)

    def copied(self) -> OpenCopy:
        """Its open copy. Raises ValueError where it has none."""
        if self.open_copy is None:
            raise ValueError(f"{self.name} has no open copy")
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("name", "open_copy")}
        return OpenCopy(name=self.open_copy, **kept)


@dataclass(frozen=True)
class OpenCopy(Topic):
    """The topic of an open copy: the same records, keys and settings, with nothing personal in them."""

    def is_personal(self) -> bool:
        """Never: that is what it is for."""
        return False


TICKETS = Topic(
    "desk.tickets.v1",
    "tickets",
    (
        tickets.TicketOpened,
        tickets.TicketAssigned,
        tickets.TicketHandedOver,
        tickets.TicketParticipantJoined,
        tickets.TicketParticipantLeft,
        tickets.TicketEscalated,
        tickets.TicketDeescalated,
        tickets.TicketClassified,
        tickets.TicketLinked,
        tickets.TicketUnlinked,
        tickets.TicketCommented,
        tickets.TicketResponded,
        tickets.TicketHeld,
        tickets.TicketReleased,
        tickets.TicketResolved,
        tickets.TicketReopened,
        tickets.TicketClosed,
        tickets.TicketCancelled,
        tickets.TicketAttentionRaised,
        tickets.TicketAttentionCleared,
    ),
    open_copy="desk.ticket-facts.v1",
)
TEAMS = Topic(
    "desk.teams.v1",
    "tickets",
    (teams.PersonRecorded, teams.TeamRecorded, teams.RotaRecorded),
    cleanup="compact",
    keyed_by="the kind of record and its id, as in team:analistas",
)
ENVIRONMENTS = Topic("desk.environments.v1", "inventory", (inventory.EnvironmentResolved, inventory.EnvironmentUnknown))
CLIENTS = Topic(
    "desk.clients.v1",
    "inventory",
    (
        inventory.ClientRecorded,
        inventory.ProductRecorded,
        inventory.ModuleRecorded,
        inventory.InstallationRecorded,
    ),
    cleanup="compact",
    keyed_by="the kind of record and its id, as in client:acme",
)
SLA = Topic(
    "desk.sla.v1",
    "sla",
    (
        sla.SlaClockStarted,
        sla.SlaClockPaused,
        sla.SlaClockResumed,
        sla.SlaClockRetargeted,
        sla.SlaClockWarned,
        sla.SlaClockBreached,
        sla.SlaClockMet,
        sla.SlaClockStopped,
        sla.SlaClockCancelled,
    ),
)
CONTRACTS = Topic(
    "desk.contracts.v1",
    "sla",
    (sla.ContractRecorded, sla.ContractTypeRecorded, sla.CalendarRecorded),
    cleanup="compact",
    keyed_by="the kind of record and its id, as in contract:acme-2026",
)
DEVLINK = Topic(
    "desk.devlink.v1",
    "devlink",
    (devlink.DevTaskLinked, devlink.DevTaskStatusChanged),
    open_copy="desk.dev-task-facts.v1",
)

# The topics of the facts and records, each type on one of them.
TOPICS: tuple[Topic, ...] = (TICKETS, TEAMS, ENVIRONMENTS, CLIENTS, SLA, CONTRACTS, DEVLINK)
# Beside them: the same without what is personal.
OPEN_COPIES: tuple[OpenCopy, ...] = tuple(topic.copied() for topic in TOPICS if topic.open_copy is not None)


def _replay(owner: str) -> Topic:
    """Where an owner tells again what it has told, for whoever rebuilds a projection; nothing else reads it."""
    events = tuple(event for topic in TOPICS if topic.owner == owner for event in topic.events)
    return Topic(f"desk.{owner}.replay.v1", owner, events, retention_days=2, keyed_by="what it was first told under")


REPLAYS: tuple[Topic, ...] = tuple(_replay(owner) for owner in dict.fromkeys(topic.owner for topic in TOPICS))
# Everything that a cluster must have.
ALL_TOPICS: tuple[Topic, ...] = (*TOPICS, *OPEN_COPIES, *REPLAYS)

BY_TYPE: dict[str, type[Event]] = {event.type: event for topic in TOPICS for event in topic.events}
TOPIC_OF: dict[str, Topic] = {event.type: topic for topic in TOPICS for event in topic.events}


def topic_of(event: type[Event]) -> Topic:
    """The topic that carries this type of event. Raises KeyError when the registry does not know it."""
    return TOPIC_OF[event.type]


def is_state(event: type[Event]) -> bool:
    """Whether the type is a state record of a compacted topic."""
    return issubclass(event, StateRecord)
