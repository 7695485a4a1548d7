"""What a service reacts to: a mark on functions, and the table that the consumer reads from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from shared.contracts.envelope import Event
from shared.contracts.topics import Topic, topic_of

F = TypeVar("F", bound=Callable[..., Awaitable[None]])
_MARK = "__reacts_to__"


@dataclass(frozen=True)
class Reaction:
    """One function and an event type that it reacts to; with `many` it takes a sequence of events."""

    event: type[Event]
    function: Callable[..., Awaitable[None]]
    many: bool


class Reactions:
    """All reactions of one service. A type has at most one, so that the order of effects is written in one place."""

    def __init__(self, reactions: list[Reaction]) -> None:
        self.by_type: dict[str, Reaction] = {}
        for reaction in reactions:
            if reaction.event.type in self.by_type:
                raise ValueError(f"two reactions to {reaction.event.type}")
            self.by_type[reaction.event.type] = reaction
        self.known: dict[str, type[Event]] = {name: one.event for name, one in self.by_type.items()}
        self.topics: tuple[Topic, ...] = tuple(
            sorted({topic_of(one.event) for one in reactions}, key=lambda topic: topic.name)
        )

    @property
    def replicas(self) -> tuple[Topic, ...]:
        """The compacted topics among them: each is kept as a replica."""
        return tuple(topic for topic in self.topics if topic.cleanup == "compact")


def reacts_to(*events: type[Event], many: bool = False) -> Callable[[F], F]:
    """Marks `async def verb_noun(tx, event: Received[E])` as the reaction to E, or to each of several types.

    With `many=True` the function takes a sequence: a run of its types in the order of the batch. After a failure it is
    called with runs of one, each under a savepoint.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, tuple(Reaction(event, function, many) for event in events))
        return function

    return mark


def collect(module: ModuleType) -> Reactions:
    """The reactions that a module defines."""
    marks: list[Any] = [getattr(member, _MARK, ()) for member in vars(module).values() if callable(member)]
    return Reactions([reaction for mark in marks for reaction in mark])
