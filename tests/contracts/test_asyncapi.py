"""The AsyncAPI document says what the registry says, as AsyncAPI's own parser reads it too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from shared.contracts import asyncapi
from shared.contracts.asyncapi import ASYNCAPI, document, operations_of
from shared.contracts.consumers import CONSUMERS, receivers, services
from shared.contracts.documents import read_json
from shared.contracts.envelope import headers_of
from shared.contracts.headers import HEADERS, OPTIONAL
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import BY_TYPE, OPEN_COPIES, TOPIC_OF, TOPICS
from tests.contracts.messages import CAUSE, EVENT_ID, TYPES, example, example_event

WHOLE = document()
SERVICES = services()
OPEN_NAMES = {f"{event.type}{OPEN}" for topic in OPEN_COPIES for event in topic.events}


def references(part: Any) -> Iterator[str]:
    """Every `$ref` at any depth."""
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def found(whole: dict[str, Any], reference: str) -> Any:
    """What a `#/...` reference points at. Raises KeyError when it points at nothing."""
    part: Any = whole
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def validator(whole: dict[str, Any], schema: dict[str, Any]) -> Draft7Validator:
    """A validator of a schema that refers to the document's components."""
    return Draft7Validator({**schema, "components": whole["components"]}, format_checker=FormatChecker())


def messages_of(whole: dict[str, Any], action: str) -> set[str]:
    """The types that a document's operations of one action name."""
    return {
        reference["$ref"].rpartition("/")[2]
        for operation in whole["operations"].values()
        if operation["action"] == action
        for reference in operation["messages"]
    }


def test_the_committed_document_is_that_of_the_registry() -> None:
    assert read_json(ASYNCAPI) == WHOLE, "say `make contracts`"


def test_every_type_is_a_message_of_the_topic_that_carries_it() -> None:
    assert set(WHOLE["components"]["messages"]) == set(BY_TYPE) | OPEN_NAMES
    carried = {(topic, name) for topic, channel in WHOLE["channels"].items() for name in channel["messages"]}
    assert carried == {
        *((topic.name, event.type) for topic in TOPICS for event in topic.events),
        *((topic.name, f"{event.type}{OPEN}") for topic in OPEN_COPIES for event in topic.events),
    }


def test_every_topic_has_the_settings_that_the_step_which_creates_it_uses() -> None:
    for topic in (*TOPICS, *OPEN_COPIES):
        kafka = WHOLE["channels"][topic.name]["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"]) == (topic.name, topic.partitions)
        as_texts = {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in kafka["topicConfiguration"].items()
        }
        assert as_texts == topic.config()
        assert WHOLE["channels"][topic.name]["x-personal-data"] == topic.is_personal()


def test_every_reference_leads_somewhere() -> None:
    for whole in [WHOLE, *(document(service) for service in SERVICES)]:
        for reference in references(whole):
            assert found(whole, reference), reference


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_fits_its_message_with_headers_key_and_data(type_name: str) -> None:
    message, shown = WHOLE["components"]["messages"][type_name], example(type_name)
    assert message["examples"] == [
        {"name": BY_TYPE[type_name].__name__, "headers": shown["headers"], "payload": shown["value"]}
    ]
    validator(WHOLE, message["payload"]).validate(shown["value"])
    validator(WHOLE, message["headers"]).validate(shown["headers"])
    validator(WHOLE, message["bindings"]["kafka"]["key"]).validate(shown["key"])


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_of_another_type_does_not_fit(type_name: str) -> None:
    message = WHOLE["components"]["messages"][type_name]
    # A fact of another owner; a record may have all that a smaller one has.
    facts = (name for name in TYPES if TOPIC_OF[name].cleanup != "compact")
    other = example(next(name for name in facts if TOPIC_OF[name].owner != TOPIC_OF[type_name].owner))
    assert not validator(WHOLE, message["headers"]).is_valid(other["headers"])
    assert not validator(WHOLE, message["payload"]).is_valid(other["value"])
    assert not validator(WHOLE, message["bindings"]["kafka"]["key"]).is_valid("somebody")


def test_the_schemas_use_nothing_that_draft_7_does_not_know() -> None:
    newer = ("prefixItems", "unevaluatedProperties", "dependentRequired", "$defs", "$dynamicRef", "minContains")
    text = json.dumps(WHOLE["components"]["schemas"])
    assert [word for word in newer if f'"{word}"' in text] == []
    for name, schema in WHOLE["components"]["schemas"].items():
        Draft7Validator.check_schema(schema)
        assert name == "Headers" or schema["type"] == "object"


def test_two_parts_of_one_name_and_two_meanings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def differing(event: Any) -> dict[str, Any]:
        return {"type": "object", "$defs": {"Groups": {"const": event.type}}}

    monkeypatch.setattr(asyncapi, "schema_of", differing)
    with pytest.raises(ValueError, match="something else by the part Groups"):
        document()


def test_exactly_the_headers_that_this_product_writes_are_described() -> None:
    event = example_event("desk.ticket.held.v1")
    full = headers_of(
        id=EVENT_ID, source="/desk/tickets", type=event.type, subject=event.subject(), sequence=42, cause=CAUSE
    )
    written = {name: text.decode() for name, text in full}
    assert set(written) == set(HEADERS)
    validator(WHOLE, {"$ref": "#/components/schemas/Headers"}).validate(written)
    for name in HEADERS:
        without = {other: text for other, text in written.items() if other != name}
        is_fine = validator(WHOLE, {"$ref": "#/components/schemas/Headers"}).is_valid(without)
        assert is_fine == (name in OPTIONAL), name


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_shows_what_it_sends_and_what_it_receives_and_nothing_else(service: str) -> None:
    own = document(service)
    sent = {event.type for topic in TOPICS if topic.owner == service for event in topic.events}
    sent |= {f"{event.type}{OPEN}" for topic in OPEN_COPIES if topic.owner == service for event in topic.events}
    received = {event.type for event in CONSUMERS[service]}
    assert messages_of(own, "send") == sent
    assert messages_of(own, "receive") == received
    assert set(own["components"]["messages"]) == sent | received
    assert {name for channel in own["channels"].values() for name in channel["messages"]} == sent | received
    for name in own["operations"]:
        assert own["operations"][name] == WHOLE["operations"][name]
    for name, message in own["components"]["messages"].items():
        assert message == WHOLE["components"]["messages"][name]


def test_the_whole_document_has_the_operations_of_all_services() -> None:
    assert set(WHOLE["operations"]) == {one.id for service in SERVICES for one in operations_of(service)}
    assert messages_of(WHOLE, "send") == set(BY_TYPE) | OPEN_NAMES
    assert messages_of(WHOLE, "receive") == {name for name, event in BY_TYPE.items() if receivers(event)}


def test_a_service_that_the_registry_does_not_know_says_nothing() -> None:
    unknown = document("weather")
    assert (unknown["channels"], unknown["operations"], unknown["components"]["messages"]) == ({}, {}, {})


def parsed(foreign: Callable[..., Any], *texts: str) -> list[dict[str, Any]]:
    """What AsyncAPI's own parser finds in each of these documents."""
    judged: list[dict[str, Any]] = json.loads(foreign("validate.cjs", given=json.dumps(texts)).stdout)
    return judged


def test_the_parser_of_asyncapi_reads_the_documents(foreign: Callable[..., Any]) -> None:
    shown = [None, *SERVICES, "weather"]
    for service, read in zip(shown, parsed(foreign, *map(asyncapi.text, shown)), strict=True):
        whole = document(service)
        assert read == {
            "valid": True,
            "channels": sorted(whole["channels"]),
            "messages": sorted(whole["components"]["messages"]),
            "operations": sorted(whole["operations"]),
            "problems": [],
        }


def spoil(whole: dict[str, Any], how: str) -> dict[str, Any]:
    """A document after one mistake that a generator could make."""
    operation = whole["operations"]["sla.receive.desk.tickets.v1"]
    kafka = whole["channels"]["desk.tickets.v1"]["bindings"]["kafka"]
    held = whole["components"]["messages"]["desk.ticket.held.v1"]
    if how == "a reference to nothing":
        held["payload"]["$ref"] = "#/components/schemas/desk.ticket.helt.v1"
    elif how == "an operation on a message of another channel":
        operation["messages"][0]["$ref"] = "#/channels/desk.sla.v1/messages/desk.sla-clock.met.v1"
    elif how == "an action that is none":
        operation["action"] = "subscribe"
    elif how == "settings of a topic as texts":
        kafka["topicConfiguration"]["retention.ms"] = "7776000000"
    elif how == "a schema that is none":
        whole["components"]["schemas"]["Groups"]["type"] = "sentence"
    return whole


MISTAKES = [
    "a reference to nothing",
    "an operation on a message of another channel",
    "an action that is none",
    "settings of a topic as texts",
    "a schema that is none",
]


def test_the_parser_of_asyncapi_sees_every_mistake(foreign: Callable[..., Any]) -> None:
    spoilt = [json.dumps(spoil(deepcopy(WHOLE), how)) for how in MISTAKES]
    seen = {how: read["problems"] for how, read in zip(MISTAKES, parsed(foreign, *spoilt), strict=True)}
    assert [how for how, problems in seen.items() if not problems] == []
