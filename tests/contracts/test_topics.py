"""The registry of topics: one topic for each event, names that tell, personal data kept from outsiders."""

from __future__ import annotations

import re
from typing import Annotated, Optional

import pytest

from shared.contracts.envelope import Event, Part, StateRecord
from shared.contracts.personal import Personal
from shared.contracts.topics import BY_TYPE, TOPICS, Topic, is_state, topic_of

TYPE_NAME = re.compile(r"desk\.(?P<noun>[a-z]+(-[a-z]+)*)\.(?P<fact>[a-z]+(-[a-z]+)*)\.v[1-9][0-9]*")
TOPIC_NAME = re.compile(r"desk\.[a-z]+\.v[1-9][0-9]*")


def camel(name: str) -> str:
    """`sla-clock` as the part of a class name that it becomes: `SlaClock`."""
    return "".join(word.capitalize() for word in name.split("-"))


def test_only_these_topics_are_closed_to_outsiders() -> None:
    closed = {topic.name for topic in TOPICS if topic.is_personal()}
    assert closed == {"desk.tickets.v1", "desk.teams.v1", "desk.clients.v1", "desk.devlink.v1"}


def test_every_event_has_exactly_one_topic() -> None:
    types = [event.type for topic in TOPICS for event in topic.events]
    assert len(types) == len(set(types)) == len(BY_TYPE)
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert all(topic_of(event).events.count(event) == 1 for event in BY_TYPE.values())


def test_every_event_class_is_in_the_registry() -> None:
    concrete = {event for event in descendants(Event) if "type" in vars(event)}
    ours = {event for event in concrete if event.__module__.startswith("shared.contracts.")}
    assert ours == set(BY_TYPE.values())


def descendants(model: type[Event]) -> set[type[Event]]:
    """All classes below one, at any depth."""
    below = set(model.__subclasses__())
    return below | {deeper for child in below for deeper in descendants(child)}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_says_how_it_is_named_owned_keyed_and_kept(topic: Topic) -> None:
    assert TOPIC_NAME.fullmatch(topic.name)
    assert topic.owner in {"tickets", "sla", "inventory", "devlink"}
    assert topic.keyed_by
    assert topic.events
    config = topic.config()
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert ("retention.ms" in config) == (topic.cleanup == "delete")


@pytest.mark.parametrize("type_name", sorted(BY_TYPE))
def test_a_type_is_named_as_its_class(type_name: str) -> None:
    parts = TYPE_NAME.fullmatch(type_name)
    assert parts, f"{type_name}: desk.<noun>.<past participle>.v<n>"
    assert BY_TYPE[type_name].__name__ == camel(parts["noun"]) + camel(parts["fact"])


@pytest.mark.parametrize(
    "type_name", ["desk.Ticket.opened.v1", "ticket.opened.v1", "desk.ticket.opened", "desk.a.b.v0"]
)
def test_a_careless_type_name_is_refused(type_name: str) -> None:
    assert TYPE_NAME.fullmatch(type_name) is None


def test_state_records_and_only_they_are_on_compacted_topics() -> None:
    for topic in TOPICS:
        for event in topic.events:
            assert is_state(event) == (topic.cleanup == "compact"), event.type


def test_a_state_record_names_its_noun_in_its_type() -> None:
    for event in BY_TYPE.values():
        if issubclass(event, StateRecord):
            assert event.type == f"desk.{event.noun}.recorded.v1"


class Caller(Part):
    """A part with a personal field, below an event."""

    name: Personal[str]


class DirectlyTold(Event):
    """The personal field is its own."""

    type = "desk.sample.told.v1"
    text: Personal[str]


class OptionallyTold(Event):
    """The personal field may be absent, in the older spelling."""

    type = "desk.sample.told.v1"
    text: Optional[Personal[str]] = None  # noqa: UP045 - this spelling is the case


class ListedTold(Event):
    """The personal fields are the elements of a list."""

    type = "desk.sample.told.v1"
    texts: tuple[Personal[str], ...]


class NestedTold(Event):
    """The personal field is two models down, in a list that may be absent."""

    type = "desk.sample.told.v1"
    callers: Annotated[tuple[Caller, ...] | None, "more metadata"] = None


class NothingTold(Event):
    """Nothing personal at any depth."""

    type = "desk.sample.told.v1"
    texts: dict[str, tuple[int, ...]]


@pytest.mark.parametrize("event", [DirectlyTold, OptionallyTold, ListedTold, NestedTold])
def test_personal_data_at_any_depth_closes_the_topic(event: type[Event]) -> None:
    assert Topic("desk.samples.v1", "tickets", (NothingTold, event)).is_personal()


def test_a_topic_without_personal_data_is_open() -> None:
    assert not Topic("desk.samples.v1", "tickets", (NothingTold,)).is_personal()
