"""The open copy of a topic: nothing personal in it, everything else, and enough to keep a table of open tickets."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import Field

from shared.contracts.devlink import DevTaskStatusChanged
from shared.contracts.documents import all_schemas, open_example_of, open_schema_of, schema_of
from shared.contracts.envelope import Event, Part
from shared.contracts.open_copy import OPEN, open_schema, open_value
from shared.contracts.personal import Personal
from shared.contracts.topics import ALL_TOPICS, BY_TYPE, OPEN_COPIES, TICKETS, TOPICS, OpenCopy
from tests.contracts.messages import example, is_code, is_personal, places, said_at, saying

COPIED = [event for topic in OPEN_COPIES for event in topic.events]
CANARY = "canario-amarillo"
COPY_OF = {"desk.tickets.v1": "desk.ticket-facts.v1", "desk.devlink.v1": "desk.dev-task-facts.v1"}


def stripped(event: type[Event], value: dict[str, Any]) -> Any:
    return json.loads(open_value(event, json.dumps(value).encode()))


class Person(Part):
    """Somebody at the client."""

    name: Personal[str]
    language: Literal["es", "en"] = "es"


class Place(Part):
    """Nothing personal in it."""

    city: str


class SampleTold(Event):
    """Personal fields at every depth and in every spelling."""

    type = "desk.sample.told.v1"
    code: str
    text: Personal[str]
    maybe: Personal[str] | None = None
    words: tuple[Personal[str], ...] = ()
    caller: Person | None = None
    callers: tuple[Person, ...] = ()
    by_role: dict[str, Place] = Field(default_factory=dict)
    either: Person | Place | None = None
    place: Place


SAMPLE: dict[str, Any] = {
    "code": "a1", "text": CANARY, "maybe": CANARY, "words": [CANARY], "caller": {"name": CANARY, "language": "en"},
    "callers": [{"name": CANARY, "language": "es"}], "by_role": {}, "either": {"name": CANARY, "city": "Rosario"},
    "place": {"city": "Salta"}, "of_an_earlier_release": CANARY,
}  # fmt: skip


def test_personal_fields_go_at_any_depth_and_nothing_else_does() -> None:
    assert stripped(SampleTold, SAMPLE) == {
        "code": "a1", "caller": {"language": "en"}, "callers": [{"language": "es"}], "by_role": {},
        "either": {"city": "Rosario"}, "place": {"city": "Salta"},
    }  # fmt: skip


def test_the_schema_of_the_copy_loses_the_same_fields() -> None:
    whole = {"$id": "urn:desk:schema:desk.sample.told.v1", **SampleTold.model_json_schema()}
    schema = open_schema(whole)
    assert schema["$id"].endswith(":open")
    assert set(schema["properties"]) == {"code", "caller", "callers", "by_role", "either", "place"}
    assert schema["required"] == ["code", "place"]
    assert set(schema["$defs"]) == {"PersonOpen", "Place"}
    assert set(schema["$defs"]["PersonOpen"]["properties"]) == {"language"}
    assert "x-personal" not in json.dumps(schema)
    Draft202012Validator(schema).validate(stripped(SampleTold, SAMPLE))


@pytest.mark.parametrize("event", COPIED, ids=lambda event: event.type)
def test_the_copy_of_an_example_is_valid_and_holds_what_is_not_personal(event: type[Event]) -> None:
    value, personal = example(event.type)["value"], places(schema_of(event), is_personal)
    expected = deepcopy(value)
    for place in personal:
        value = saying(value, place, CANARY)
        del said_at(expected, place[:-1])[place[-1]]
    copy = stripped(event, value)
    assert CANARY not in json.dumps(copy)
    assert copy == expected
    schema = open_schema_of(event)
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(copy)
    assert places(schema, is_personal) == []
    assert places(schema, is_code) == places(schema_of(event), is_code), "which codes there are is nobody's secret"


@pytest.mark.parametrize("event", COPIED, ids=lambda event: event.type)
def test_an_example_of_the_copy_has_the_identity_of_the_first(event: type[Event]) -> None:
    first, copy = example(event.type), open_example_of(event)
    assert copy["topic"] == COPY_OF[first["topic"]]
    assert copy["key"] == first["key"]
    differing = {name for name in first["headers"] if first["headers"][name] != copy["headers"][name]}
    assert differing == {"ce_dataschema"}
    assert copy["headers"]["ce_dataschema"] == f"urn:desk:schema:{event.type}:open"


def test_these_topics_have_a_copy() -> None:
    assert {topic.name: topic.open_copy for topic in TOPICS if topic.open_copy} == COPY_OF


@pytest.mark.parametrize("copy", OPEN_COPIES, ids=lambda topic: topic.name)
def test_a_topic_that_is_closed_and_its_copy_have_the_same_settings(copy: OpenCopy) -> None:
    (closed,) = [topic for topic in TOPICS if topic.open_copy == copy.name]
    assert copy.config() == closed.config()
    assert (copy.partitions, copy.owner, copy.keyed_by) == (closed.partitions, closed.owner, closed.keyed_by)
    assert closed.is_personal()
    assert not copy.is_personal()
    assert copy in ALL_TOPICS


def test_why_development_declined_is_for_the_desk_only() -> None:
    """A developer writes it as it comes, and may name somebody."""
    value = {**example("desk.dev-task.status-changed.v1")["value"], "reason": CANARY}
    value["task"] |= {"status": "declined", "declined_reason": CANARY}
    copy = stripped(DevTaskStatusChanged, value)
    assert value.keys() - copy.keys() == {"reason"}
    assert value["task"].keys() - copy["task"].keys() == {"declined_reason"}
    assert copy["task"]["status"] == "declined"


def test_the_copy_tells_how_a_ticket_stands_to_whoever_may_not_read_its_text() -> None:
    """A table of the present state of all tickets can be kept from the copy alone: nothing in the brief is personal."""
    for event in TICKETS.events:
        assert open_example_of(event)["value"]["ticket"] == example(event.type)["value"]["ticket"]


def test_every_schema_of_a_copy_is_committed_beside_that_of_its_type() -> None:
    assert {f"{event.type}{OPEN}" for event in COPIED} | set(BY_TYPE) == set(all_schemas())
    assert all(open_schema_of(event)["description"] == schema_of(event)["description"] for event in COPIED)
