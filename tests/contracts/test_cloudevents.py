"""An independent implementation of CloudEvents reads what we write, and we read what it writes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.bindings.kafka import KafkaMessage
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared.contracts import envelope
from tests.contracts.messages import CAUSE, EVENT_ID, TYPES, Record, example, example_event, record_of, written


def their_reading(record: Record) -> Any:
    """The event as the cloudevents package reads our record."""
    assert record.value is not None
    headers = {name: text for name, text in record.headers if text is not None}
    assert len(headers) == len(record.headers), "no header twice"
    return kafka.from_binary_event(KafkaMessage(headers=headers, key=record.key, value=record.value))


def their_event(type_name: str) -> CloudEvent:
    """The committed example as an event of the cloudevents package, made from its attributes."""
    document = example(type_name)
    attributes: dict[str, Any] = {
        name[3:]: text for name, text in document["headers"].items() if name.startswith("ce_")
    }
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    attributes["datacontenttype"] = "application/json"
    attributes["partitionkey"] = document["key"]
    return CloudEvent(attributes, document["value"])


def as_record(message: KafkaMessage) -> Record:
    """A message of the cloudevents package as Kafka would deliver it."""
    key = message.key.encode() if isinstance(message.key, str) else message.key
    return Record([*message.headers.items()], key, message.value)


@pytest.mark.parametrize("type_name", TYPES)
def test_they_read_what_we_write(type_name: str) -> None:
    event = example_event(type_name)
    theirs = their_reading(written(event, CAUSE, 42, "/desk/tickets"))
    assert theirs.get_specversion() == "1.0"
    assert theirs.get_id() == str(EVENT_ID)
    assert theirs.get_source() == "/desk/tickets"
    assert theirs.get_type() == type_name
    assert theirs.get_subject() == event.subject()
    assert theirs.get_time() == CAUSE.occurred_at
    assert theirs.get_dataschema() == f"urn:desk:schema:{type_name}"
    assert theirs.get_datacontenttype() == "application/json"
    assert theirs.get_data() == json.loads(event.model_dump_json())


def test_they_read_our_extensions() -> None:
    theirs = their_reading(written(example_event("desk.ticket.held.v1")))
    extensions = {
        "recordedtime": "2026-11-24T13:05:12.348219Z",
        "sequence": "0000000000000000042",
        "origin": "live",
        "actor": CAUSE.actor,
        "correlationid": CAUSE.correlation_id,
        "causationid": CAUSE.causation_id,
        "traceparent": CAUSE.traceparent,
    }
    assert {name: theirs.get_extension(name) for name in extensions} == extensions


@pytest.mark.parametrize("type_name", TYPES)
def test_we_read_their_binary_message(type_name: str) -> None:
    message = kafka.to_binary_event(their_event(type_name))
    assert as_record(message).read() == record_of(example(type_name)).read()


@pytest.mark.parametrize("type_name", TYPES)
def test_we_read_their_structured_message(type_name: str) -> None:
    message = kafka.to_structured_event(their_event(type_name))
    record = as_record(message)
    assert record.read() == record_of(example(type_name)).read()
    assert envelope.type_of(record.headers, record.value) == type_name


def test_we_read_their_structured_message_with_the_data_as_bytes() -> None:
    event = their_event("desk.ticket.held.v1")
    data = event.get_data()
    encoded = CloudEvent(event.get_attributes(), json.dumps(data).encode())
    message = kafka.to_structured(encoded, JSONFormat())
    assert b"data_base64" in message.value
    assert as_record(message).read() == record_of(example("desk.ticket.held.v1")).read()


def test_a_message_that_they_refuse_we_refuse() -> None:
    record = written(example_event("desk.ticket.held.v1")).without("ce_source")
    with pytest.raises(Exception, match="source"):
        their_reading(record)
    with pytest.raises(envelope.InvalidMessage, match="ce_source"):
        record.read()
