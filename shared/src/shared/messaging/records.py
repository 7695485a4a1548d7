"""Reading what Kafka delivers: a raw record becomes something to apply, to skip, or to park."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Headers, InvalidMessage, Received, StateRecord, id_of, read, type_of
from shared.contracts.topics import topic_of
from shared.messaging.reactions import Reaction, Reactions

# A topic (the registry's name) and the number of a partition.
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was delivered; `topic` is the registry's name, without the installation's prefix.

    `reached` is the offset up to which its consumer had applied the partition when it was delivered. `appended_at` is
    when its broker appended it, in milliseconds since 1970; None where the topic keeps its producers' times.
    """

    topic: str
    partition: int
    offset: int
    raw_key: bytes | None
    headers: Headers
    value: bytes | None
    reached: int = 0
    appended_at: int | None = None

    @property
    def key(self) -> str:
        """The key as text. A record without a key blocks nobody but itself."""
        if self.raw_key is None:
            return f"@{self.partition}:{self.offset}"
        return self.raw_key.decode(errors="backslashreplace").replace("\x00", "\\x00")


@dataclass(frozen=True, slots=True)
class Applicable:
    """A record that is an event this service reacts to."""

    record: Record
    event: Received[Any]
    reaction: Reaction
    repeated: bool = False

    def again(self) -> Applicable | None:
        """What is done about an event whose id was applied before: only what it projects, None where it does not.

        An owner that was restored may tell the same again after something that it takes back so; its sequence is higher
        then, by which a projection goes. No effect is repeated.
        """
        projecting = self.reaction.projecting
        return None if projecting is None else replace(self, reaction=projecting, repeated=True)

    @property
    def bypasses_inbox(self) -> bool:
        """State records outlive any inbox; their projections compare sequences instead."""
        return isinstance(self.event.data, StateRecord)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record of a type or version that this service does not read, or `left_out` by an operator's decision."""

    record: Record
    type: str
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """A record that claims a type this service reads, and is not one."""

    record: Record
    event_id: UUID | None
    problem: str


Read = Applicable | Skipped | Invalid


def read_record(record: Record, reactions: Reactions) -> Read:
    """What to do with a record; never raises for what a stranger may have written."""
    try:
        stated = type_of(record.headers, record.value)
        if stated is None:
            raise InvalidMessage("the record has no ce_type")
        reaction = reactions.by_type.get(stated)
        if reaction is None:
            return Skipped(record, stated)
        topic = topic_of(reaction.event)
        # Whoever may write one topic may not tell what belongs to another: rights on Kafka end at a topic.
        if record.topic != topic.name:
            raise InvalidMessage(f"{stated} belongs on {topic.name}, not on {record.topic}")
        event = read(record.headers, record.raw_key, record.value, reactions.known)
        if event.source != topic.source:
            raise InvalidMessage(f"ce_source: {stated} is told by {topic.source} alone")
        if event.key != event.data.key():
            # Under a foreign key it would be applied out of order with its own.
            raise InvalidMessage("the key of the record is not the key of what the event is about")
    except InvalidMessage as error:
        return Invalid(record, id_of(record.headers, record.value), str(error))
    except ArithmeticError:
        # An instant of the year 9999 or 1 is a valid text, and may have no equivalent in UTC.
        return Invalid(record, id_of(record.headers, record.value), "an instant is outside the calendar")
    return Applicable(record, event, reaction)


def runs(messages: Sequence[Applicable]) -> list[list[Applicable]]:
    """Maximal runs for one function, in the order given, so that the order of a key is never broken."""
    found: list[list[Applicable]] = []
    for message in messages:
        if found and found[-1][0].reaction.function is message.reaction.function:
            found[-1].append(message)
        else:
            found.append([message])
    return found
