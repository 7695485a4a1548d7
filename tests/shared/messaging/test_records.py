"""Whatever a stranger writes is something to apply, to skip or to park, and never an exception."""

from __future__ import annotations

import json

import pytest

from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import TICKETS, TOPICS
from shared.messaging.records import Applicable, Invalid, Read, Record, read_record
from tests.shared.messaging.story import message, opened, reactions


@pytest.mark.parametrize("header", ["ce_time", "ce_recordedtime"])
@pytest.mark.parametrize("stated", [b"9999-12-31T23:59:59-12:00", b"0001-01-01T00:00:00+14:00"])
def test_an_instant_that_has_no_equivalent_in_utc_is_invalid(header: str, stated: bytes) -> None:
    topic, key, value, headers = message(opened(1), 1)
    strange = tuple((name, stated if name == header else text) for name, text in headers)
    assert isinstance(read_record(Record(topic, 0, 0, key, strange, value), reactions()), Invalid)


def read_on(topic: str, source: bytes = b"/desk/tickets") -> Read:
    _, key, value, headers = message(opened(1), 1)
    stated = tuple((name, source if name == "ce_source" else text) for name, text in headers)
    return read_record(Record(topic, 0, 0, key, stated, value), reactions(replicas=True))


def test_an_event_of_its_owner_on_its_topic_is_applied() -> None:
    assert isinstance(read_on(TICKETS.name), Applicable)
    topic, key, value, headers = message(ClientRecorded(id="acme", name="Acme", tier="oro"), 1)
    told = read_record(Record(topic, 0, 0, key, tuple(headers), value), reactions(replicas=True))
    assert isinstance(told, Applicable)


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS if topic is not TICKETS])
def test_an_event_on_a_topic_that_is_not_its_own_is_invalid(topic: str) -> None:
    """Whoever may write one topic may not tell what belongs to another."""
    told = read_on(topic)
    assert isinstance(told, Invalid)
    assert told.event_id is not None
    assert told.problem == f"desk.ticket.opened.v1 belongs on desk.tickets.v1, not on {topic}"


@pytest.mark.parametrize("source", [b"/desk/test", b"/desk/inventory", b"/desk/tickets/", b"tickets"])
def test_an_event_that_another_than_its_owner_tells_is_invalid(source: bytes) -> None:
    told = read_on(TICKETS.name, source)
    assert isinstance(told, Invalid)
    # What a stranger states is not quoted.
    assert told.problem == "ce_source: desk.ticket.opened.v1 is told by /desk/tickets alone"


def test_a_structured_event_of_a_stranger_is_invalid_too() -> None:
    _, key, value, headers = message(opened(1), 1)
    stated = {name.removeprefix("ce_"): text.decode() for name, text in headers if name.startswith("ce_")}
    whole = json.dumps({**stated, "source": "/desk/sla", "data": json.loads(value)}).encode()
    kind = (("content-type", b"application/cloudevents+json"),)
    told = read_record(Record(TICKETS.name, 0, 0, key, kind, whole), reactions())
    assert isinstance(told, Invalid)
    assert told.problem.startswith("ce_source: ")
