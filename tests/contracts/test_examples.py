"""Each type has one example message, written by hand, that is what a consumer really receives."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared.contracts import envelope
from shared.contracts.documents import EXAMPLES, SCHEMAS, all_schemas, read_json
from shared.contracts.envelope import StateRecord
from shared.contracts.topics import BY_TYPE, TOPIC_OF
from tests.contracts.messages import TYPES, committed, example, record_of


def test_every_type_has_exactly_one_example() -> None:
    assert committed(EXAMPLES) == set(all_schemas())


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_validates_against_the_committed_schema(type_name: str) -> None:
    schema = read_json(SCHEMAS / f"{type_name}.json")
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(example(type_name)["value"])


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_is_read_as_its_event_with_its_own_key_and_subject(type_name: str) -> None:
    document = example(type_name)
    received = record_of(document).read()
    assert type(received.data) is BY_TYPE[type_name]
    assert received.type == type_name
    assert received.key == document["key"] == received.data.key()
    assert received.subject == received.data.subject()
    assert received.recorded_at >= received.occurred_at


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_comes_from_the_topic_and_the_owner_of_its_type(type_name: str) -> None:
    document, topic = example(type_name), TOPIC_OF[type_name]
    assert document["topic"] == topic.name
    assert document["headers"]["ce_source"] == f"/desk/{topic.owner}"


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_shows_every_field_and_no_other(type_name: str) -> None:
    value = example(type_name)["value"]
    fields = set(BY_TYPE[type_name].model_fields)
    assert set(value) <= fields, "a field that the class does not know"
    assert fields - set(value) == set(), "the example shows optional fields too: people copy it"


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_has_the_headers_that_this_product_writes(type_name: str) -> None:
    document = example(type_name)
    received = record_of(document).read()
    cause = envelope.Cause(
        actor=received.actor,
        occurred_at=received.occurred_at,
        recorded_at=received.recorded_at,
        correlation_id=received.correlation_id,
        causation_id=received.causation_id,
        origin=received.origin,
        traceparent=received.traceparent,
    )
    headers = envelope.headers_of(
        id=received.id,
        source=received.source,
        type=received.type,
        subject=received.subject,
        sequence=received.sequence,
        cause=cause,
    )
    assert {name: text.decode() for name, text in headers} == document["headers"]


@pytest.mark.parametrize("type_name", [name for name in TYPES if issubclass(BY_TYPE[name], StateRecord)])
def test_a_state_record_is_keyed_by_its_noun_and_id(type_name: str) -> None:
    document = example(type_name)
    noun = type_name.removeprefix("desk.").removesuffix(".recorded.v1")
    assert document["key"] == f"{noun}:{document['value']['id']}"


def test_the_ids_of_the_examples_are_all_different() -> None:
    ids = [example(name)["headers"]["ce_id"] for name in TYPES]
    assert len(set(ids)) == len(ids)
