"""What a service reacts to: marks on functions, and the table that the consumer reads from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, TypeVar

from shared.contracts.envelope import Event
from shared.contracts.topics import Topic, topic_of

F = TypeVar("F", bound=Callable[..., Awaitable[None]])
_REACTS, _PROJECTS = "__reacts_to__", "__projects__"

Function = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Reaction:
    """One function and an event type that it reacts to; with `many` it takes a sequence of events.

    `projection` is the part of it that only keeps what others own, and may be done again from their archives.
    """

    event: type[Event]
    function: Function
    many: bool
    projection: Function | None = None

    @property
    def projecting(self) -> Reaction | None:
        """That part alone."""
        return None if self.projection is None else replace(self, function=self.projection, many=True)


class Reactions:
    """All reactions of one service. A type has at most one of each kind, so that the order of effects is written in one
    place."""

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

    @property
    def projected(self) -> dict[type[Event], Function]:
        """The types that are projected, and by which function."""
        return {one.event: one.projection for one in self.by_type.values() if one.projection is not None}


def reacts_to(*events: type[Event], many: bool = False) -> Callable[[F], F]:
    """Marks `async def verb_noun(tx, event: Received[E])` as the reaction to E, or to each of several types.

    With `many=True` the function takes a sequence: a run of its types in the order of the batch. After a failure it is
    called with runs of one, each under a savepoint.
    """
    return _mark(_REACTS, events, many)


def projects(*events: type[Event]) -> Callable[[F], F]:
    """Marks `async def keep_noun(tx, events: Sequence[Received[E]])` as the projection of these types.

    It only keeps what others own, idempotent and the same in any order of events, and never writes history, outbox or
    timers: `messaging rebuild` does it again from the owners' archives. A type may have a reaction beside it, which
    comes after it.
    """
    return _mark(_PROJECTS, events, many=True)


def _mark(kind: str, events: Sequence[type[Event]], many: bool) -> Callable[[F], F]:
    def mark(function: F) -> F:
        setattr(function, kind, tuple((event, function, many) for event in events))
        return function

    return mark


def collect(module: ModuleType) -> Reactions:
    """The reactions and projections that a module defines. Raises ValueError for two of a kind to one type."""
    reactions, projections = _marked(module, _REACTS), _marked(module, _PROJECTS)
    both: dict[tuple[Function, Function], Function] = {}
    found = []
    for event in dict.fromkeys([*projections, *reactions]):
        (project, _), (react, many) = projections.get(event, (None, True)), reactions.get(event, (None, True))
        if project is None or react is None:
            found.append(Reaction(event, project or react, many, project))
            continue
        if not many:
            raise ValueError(f"the reaction to {event.type} takes one event and its projection many: mark it many=True")
        # One function for each pair, so that a run of events is a run for both.
        function = both.setdefault((project, react), _after(project, react))
        found.append(Reaction(event, function, many, project))
    return Reactions(found)


def _marked(module: ModuleType, kind: str) -> dict[type[Event], tuple[Any, bool]]:
    found: dict[type[Event], tuple[Any, bool]] = {}
    for member in vars(module).values():
        for event, function, many in getattr(member, kind, ()) if callable(member) else ():
            if event in found and found[event][0] is not function:
                raise ValueError(f"two reactions to {event.type}")
            found[event] = function, many
    return found


def _after(first: Function, second: Function) -> Function:
    async def both(tx: Any, events: Any) -> None:
        await first(tx, events)
        await second(tx, events)

    return both
