"""The spans of a record: one where the relay sends it, one in each consumer, below the former.

Names and attributes follow OpenTelemetry's conventions for messaging; topics go by the registry's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Received, type_of
from shared.contracts.topics import TOPICS, Topic
from shared.messaging.records import Applicable, Record
from shared.telemetry import trace, tracing
from shared.telemetry.tracing import Span

_KEYED_BY_TICKET = frozenset(topic.name for topic in TOPICS if topic.keyed_by == Topic.keyed_by)
_PARTITION, _OFFSET = "messaging.destination.partition.id", "messaging.kafka.offset"


# -- out ----------------------------------------------------------------------------------------------------------


def open_sending(row: Mapping[str, Any]) -> Span | None:
    """The span of one attempt to send a row of the outbox, below what caused the event; None while tracing is off."""
    if not tracing.is_on():
        return None
    told = _told("send", row["topic"], row["key"], row["id"], row["type"])
    told["desk.correlation_id"] = row["correlation_id"]
    return tracing.start("producer", f"send {row['topic']}", row["traceparent"], told)


def close_sending(span: Span | None, outcome: Any) -> BaseException | None:
    """Ends it with what Kafka answered, an error or where the record is now. Returns the error."""
    error = outcome if isinstance(outcome, BaseException) else None
    if span is not None:
        if error is not None:
            span.fail(type(error).__qualname__)
        else:
            span.tell(_PARTITION, str(outcome.partition))
            span.tell(_OFFSET, outcome.offset)
        span.end()
    return error


# -- in -----------------------------------------------------------------------------------------------------------


@contextmanager
def processing(messages: Sequence[Applicable]) -> Iterator[list[Received[Any]]]:
    """One span for each message, below its own sender's; the events that a reaction is given carry these spans.

    An error inside is the reaction's: the message will be parked, unless the transaction is rolled back and tried
    again, which tells of nothing (see `told_after_commit`).
    """
    if not tracing.is_on():
        yield [message.event for message in messages]
        return
    spans = [span for message in messages if (span := _open_processing(message)) is not None]
    try:
        yield [
            replace(message.event, traceparent=span.traceparent) for message, span in zip(messages, spans, strict=True)
        ]
    except Exception as error:
        for span in spans:
            span.fail(type(error).__qualname__)
            span.tell("desk.parked", "failed")
        raise
    finally:
        for span in spans:
            span.end()


def tell_parked(record: Record, event_id: UUID | None, reason: str) -> None:
    """A span for a record that no reaction saw: it is invalid, or an earlier one of its key is parked."""
    if not tracing.is_on():
        return
    told = _told("process", record.topic, record.key, event_id, type_of(record.headers, record.value))
    told |= _place(record) | {"desk.parked": reason}
    span = tracing.start("consumer", f"process {record.topic}", _stated_parent(record), told)
    if span is not None:
        if reason == "invalid":
            span.fail("InvalidMessage")
        span.end()


def trace_id_of(record: Record) -> str | None:
    """The trace that a record says it belongs to, for log lines about it."""
    above = trace.parse(_stated_parent(record))
    return above.trace_id if above is not None else None


def _open_processing(message: Applicable) -> Span | None:
    record, event = message.record, message.event
    told = _told("process", record.topic, event.key, event.id, event.type) | _place(record)
    told["desk.correlation_id"] = event.correlation_id
    return tracing.start("consumer", f"process {record.topic}", event.traceparent, told)


def _told(operation: str, topic: str, key: str, event_id: object, event_type: str | None) -> dict[str, str | int]:
    told: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }
    if event_id is not None:
        told["desk.event_id"] = str(event_id)
    if event_type is not None:
        told["desk.type"] = event_type
    if topic in _KEYED_BY_TICKET:
        # The key of an invalid record may be anything.
        with suppress(ValueError):
            told["desk.ticket_id"] = str(UUID(key))
    return told


def _place(record: Record) -> dict[str, str | int]:
    return {_PARTITION: str(record.partition), _OFFSET: record.offset}


def _stated_parent(record: Record) -> str | None:
    for name, value in record.headers:
        if name == "ce_traceparent" and value is not None:
            return value.decode("latin-1")
    return None
