"""What we write we read back; what is not an event of this language is refused without repeating what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import envelope
from shared.contracts.envelope import Cause, InvalidMessage
from shared.contracts.tickets import TicketHeld
from shared.contracts.topics import BY_TYPE
from tests.contracts.messages import (
    CAUSE,
    EVENT_ID,
    TYPES,
    Place,
    Record,
    example,
    example_event,
    record_of,
    saying,
    written,
)
from tests.support.briefs import ticket_brief

HELD = "desk.ticket.held.v1"
SECRET = "llamar-a-Damian-Olaechea"

zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=zones)  # noqa: DTZ001 - the zones are drawn
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
causes = st.builds(
    Cause,
    actor=texts,
    occurred_at=instants,
    recorded_at=instants,
    correlation_id=texts,
    causation_id=st.none() | texts,
    origin=st.sampled_from(["live", "import"]),
    traceparent=st.none() | texts,
)
codes = st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True)
held = st.builds(
    TicketHeld,
    ticket_id=st.uuids(),
    ticket=st.builds(
        ticket_brief,
        client=st.none() | st.just("molinos"),
        number=st.text(),
        version=st.integers(1, 2**31),
        status=codes,
        reported_at=instants,
    ),
    reason=codes,
    note=st.text(),
)


def structured(value: dict[str, Any]) -> Record:
    """A record in structured mode."""
    return Record(
        [("content-type", b"application/cloudevents+json; charset=utf-8")], b"key", json.dumps(value).encode()
    )


def as_structured(type_name: str) -> dict[str, Any]:
    """The committed example of a type as one structured event."""
    document = example(type_name)
    attributes = {name[3:]: text for name, text in document["headers"].items() if name.startswith("ce_")}
    return {**attributes, "data": document["value"]}


@given(held, causes, st.integers(0, 2**63 - 1))
def test_whatever_we_write_we_read_back(event: TicketHeld, cause: Cause, sequence: int) -> None:
    received = written(event, cause, sequence).read()
    assert received.data == event
    assert (received.id, received.type, received.sequence) == (EVENT_ID, HELD, sequence)
    assert (received.subject, received.key) == (event.subject(), event.key())
    assert (received.occurred_at, received.recorded_at) == (cause.occurred_at, cause.recorded_at)
    assert received.occurred_at.tzinfo is UTC
    assert received.correlation_id == cause.correlation_id
    assert received.causation_id == cause.causation_id
    assert (received.actor, received.origin, received.traceparent) == (cause.actor, cause.origin, cause.traceparent)


@given(st.lists(instants, min_size=2, max_size=5))
def test_instants_are_ordered_as_their_texts(several: list[datetime]) -> None:
    assert sorted(several) == sorted(several, key=envelope.instant)


def test_a_naive_instant_is_never_written() -> None:
    with pytest.raises(ValueError, match="time zone"):
        envelope.instant(datetime(2026, 11, 24, 10, 5))  # noqa: DTZ001 - this is the case


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_is_read_in_structured_mode_too(type_name: str) -> None:
    from_binary = record_of(example(type_name)).read()
    from_structured = structured(as_structured(type_name)).read()
    assert from_structured.data == from_binary.data
    assert from_structured.id == from_binary.id
    assert from_structured.occurred_at == from_binary.occurred_at


def test_a_field_of_a_newer_release_is_ignored() -> None:
    record = record_of(example(HELD))
    record.value = json.dumps({**example(HELD)["value"], "mood": "calm"}).encode()
    record.headers.append(("ce_newattribute", b"of a newer release"))
    assert record.read().data == example_event(HELD)


def test_a_reaction_takes_the_instant_of_its_event_and_names_it_as_the_cause() -> None:
    received = record_of(example(HELD)).read()
    noticed = datetime(2026, 11, 25, tzinfo=UTC)
    cause = received.cause(actor="system:sla", recorded_at=noticed)
    assert (cause.occurred_at, cause.recorded_at) == (received.occurred_at, noticed)
    assert cause.causation_id == str(received.id)
    assert cause.correlation_id == received.correlation_id
    assert cause.actor == "system:sla"


REQUIRED = [
    "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_recordedtime", "ce_sequence",
    "ce_origin", "ce_actor", "ce_correlationid",
]  # fmt: skip


@pytest.mark.parametrize("header", REQUIRED)
def test_a_missing_header_is_named(header: str) -> None:
    record = record_of(example(HELD))
    for broken in (record.without(header), record.having(header, None)):
        with pytest.raises(InvalidMessage, match=f"^{header}: Field required"):
            broken.read()


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", SECRET.encode()),
        ("ce_time", b"2026-11-24T10:05:12"),
        ("ce_time", SECRET.encode()),
        ("ce_recordedtime", b"ayer a la tarde"),
        # The first instant of all is -infinity to a database, and the offset of the last has no place in UTC.
        ("ce_time", b"0001-01-01T00:00:00Z"),
        ("ce_recordedtime", b"9999-12-31T23:59:59-12:00"),
        ("ce_sequence", b"-1"),
        ("ce_sequence", b"9223372036854775808"),
        ("ce_sequence", "\N{ARABIC-INDIC DIGIT THREE}".encode()),
        ("ce_origin", b"rumour"),
        ("ce_actor", b""),
        ("ce_actor", b"\xff\xfe"),
        ("ce_actor", b"damian\0olaechea"),
        ("ce_type", SECRET.encode()),
    ],
)
def test_a_wrong_header_is_named_and_not_repeated(header: str, text: bytes) -> None:
    with pytest.raises(InvalidMessage, match=f"^{header}: ") as caught:
        record_of(example(HELD)).having(header, text).read()
    told = str(caught.value)
    assert SECRET not in told
    assert "olaechea" not in told
    assert "ayer" not in told


def test_a_header_that_is_stated_twice_is_refused() -> None:
    record = record_of(example(HELD))
    record.headers.append(("ce_actor", b"somebody.else"))
    with pytest.raises(InvalidMessage, match="^ce_actor: stated twice"):
        record.read()


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"a\0b"])
def test_a_record_without_a_usable_key_is_refused(key: bytes | None) -> None:
    record = record_of(example(HELD))
    record.key = key
    with pytest.raises(InvalidMessage, match="key"):
        record.read()


@pytest.mark.parametrize(
    "value", [None, b"", b"null", b"[]", b'"' + SECRET.encode() + b'"', b"{" + SECRET.encode(), b"\xff"]
)
def test_a_value_that_is_no_json_object_is_refused_and_not_repeated(value: bytes | None) -> None:
    record = record_of(example(HELD))
    record.value = value
    with pytest.raises(InvalidMessage, match="^data: ") as caught:
        record.read()
    assert SECRET not in str(caught.value)


def held_otherwise(place: Place, said: Any) -> Record:
    """The example of a hold that says something else at one place."""
    record = record_of(example(HELD))
    record.value = json.dumps(saying(example(HELD)["value"], place, said)).encode()
    return record


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("reason",), SECRET),
        (("ticket", "version"), SECRET),
        (("ticket", "hold", "reason"), SECRET),
        (("ticket_id",), SECRET),
        (("note",), {"text": SECRET}),
    ],
)
def test_a_wrong_field_is_named_and_not_repeated(place: Place, said: Any) -> None:
    with pytest.raises(InvalidMessage, match=f"^data.{'.'.join(map(str, place))}: ") as caught:
        held_otherwise(place, said).read()
    assert SECRET not in str(caught.value)


def test_a_naive_time_in_the_data_is_refused() -> None:
    with pytest.raises(InvalidMessage, match=r"^data\.ticket\.reported_at: "):
        held_otherwise(("ticket", "reported_at"), "2026-11-24T10:00:00").read()


def test_a_missing_field_of_a_part_is_named_with_its_path() -> None:
    with pytest.raises(InvalidMessage, match=r"^data\.ticket\.groups\.client_id: Field required"):
        held_otherwise(("ticket", "groups"), {}).read()


def test_a_type_that_the_reader_does_not_know_is_refused() -> None:
    record = record_of(example(HELD))
    record.known = {name: event for name, event in BY_TYPE.items() if name != HELD}
    with pytest.raises(InvalidMessage, match="^ce_type: "):
        record.read()


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b"\xff", b'{"data_base64": "%%%"}', b'{"data_base64": 7}'])
def test_a_broken_structured_event_is_refused(value: bytes) -> None:
    record = Record([("content-type", b"application/cloudevents+json")], b"key", value)
    with pytest.raises(InvalidMessage, match="structured"):
        record.read()
    assert envelope.type_of(record.headers, value) is None
    assert envelope.id_of(record.headers, value) is None


def test_a_structured_event_without_data_is_refused() -> None:
    whole = as_structured(HELD)
    del whole["data"]
    with pytest.raises(InvalidMessage, match="^data: "):
        structured(whole).read()


def test_type_and_id_are_known_without_reading_the_rest() -> None:
    record = record_of(example(HELD)).without("ce_actor")
    record.value = b"not json"
    assert envelope.type_of(record.headers, record.value) == HELD
    assert envelope.id_of(record.headers, record.value) == UUID(example(HELD)["headers"]["ce_id"])


def test_type_and_id_of_a_structured_event_are_those_in_its_value() -> None:
    record = structured(as_structured(HELD))
    record.headers.append(("ce_type", b"desk.ticket.closed.v1"))
    assert envelope.type_of(record.headers, record.value) == HELD
    assert record.read().type == HELD
    assert envelope.id_of(record.headers, record.value) == UUID(example(HELD)["headers"]["ce_id"])


@pytest.mark.parametrize("text", [None, b"\xff", b"", b"not-an-id", b"\0"])
def test_an_unreadable_id_is_none(text: bytes | None) -> None:
    assert envelope.id_of([("ce_id", text)]) is None


def test_the_cause_of_an_example_is_written_without_absent_headers() -> None:
    bare = Cause(CAUSE.actor, CAUSE.occurred_at, CAUSE.recorded_at, CAUSE.correlation_id)
    names = [name for name, _ in written(example_event(HELD), bare).headers]
    assert "ce_causationid" not in names
    assert "ce_traceparent" not in names
