"""Committed example messages as the Kafka records that they show, and records made for one test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.contracts import envelope
from shared.contracts.codes import OPEN_CODE
from shared.contracts.documents import EXAMPLES, read_json
from shared.contracts.envelope import Cause, Event
from shared.contracts.topics import BY_TYPE

TYPES = sorted(BY_TYPE)
CAUSE = Cause(
    actor="lucia.ferreyra",
    occurred_at=datetime(2026, 11, 24, 12, 58, tzinfo=UTC),
    recorded_at=datetime(2026, 11, 24, 13, 5, 12, 348219, tzinfo=UTC),
    correlation_id="01a20da9-0c6d-7b11-8f00-5d1c7a1b2c3d",
    causation_id="01a20da9-0c6d-7b11-8f00-5d1c7a1b2c3e",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
EVENT_ID = UUID("01a20da9-0c9c-7140-a942-9150abcbf244")
# The way to a field of an event's data; 0 leads into a list.
Place = tuple[str | int, ...]
_Schema = Mapping[str, Any]


@dataclass
class Record:
    """What Kafka delivers of one message."""

    headers: list[tuple[str, bytes | None]]
    key: bytes | None
    value: bytes | None
    topic: str = ""
    known: dict[str, type[Event]] = field(default_factory=lambda: BY_TYPE)

    def read(self) -> envelope.Received[Event]:
        """The record as a consumer of this product reads it."""
        return envelope.read(self.headers, self.key, self.value, self.known)

    def without(self, header: str) -> Record:
        """The same record with one header left out."""
        kept = [(name, text) for name, text in self.headers if name != header]
        assert len(kept) < len(self.headers), f"there is no header {header}"
        return Record(kept, self.key, self.value)

    def having(self, header: str, text: bytes | None) -> Record:
        """The same record with another text in one header."""
        return Record([*self.without(header).headers, (header, text)], self.key, self.value)


def example(type_name: str) -> dict[str, Any]:
    """The committed example message of a type."""
    return read_json(EXAMPLES / f"{type_name}.json")


def places(schema: _Schema, wanted: Callable[[_Schema], bool]) -> list[Place]:
    """Where in the data of an event a field stands whose schema is wanted."""
    return list(dict.fromkeys(_places(schema, schema.get("$defs", {}), wanted, ())))


def _places(schema: _Schema, parts: _Schema, wanted: Callable[[_Schema], bool], at: Place) -> Iterator[Place]:
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    if wanted(schema):
        yield at
        return
    for arm in schema.get("anyOf", ()):
        yield from _places(arm, parts, wanted, at)
    for name, inner in schema.get("properties", {}).items():
        yield from _places(inner, parts, wanted, (*at, name))
    if "items" in schema:
        yield from _places(schema["items"], parts, wanted, (*at, 0))


def is_code(schema: _Schema) -> bool:
    """Whether a field's schema says that it is an open code."""
    return schema.get("format") == OPEN_CODE


def is_personal(schema: _Schema) -> bool:
    """Whether a field's schema carries the mark of personal data."""
    return "x-personal" in schema


def saying(value: dict[str, Any], place: Place, said: Any) -> dict[str, Any]:
    """The same data with something else at one place. Where the example holds no hold, it is that of a held ticket."""
    changed = deepcopy(value)
    inner: Any = changed
    *way, last = place
    for name in way:
        if inner[name] is None:
            inner[name] = {"hold": example("desk.ticket.held.v1")["value"]["ticket"]["hold"]}[str(name)]
        inner = inner[name]
    inner[last] = said
    return changed


def said_at(value: Any, place: Place) -> Any:
    """What stands at a place."""
    for name in place:
        value = value[name]
    return value


def record_of(document: dict[str, Any]) -> Record:
    """The Kafka record that an example message shows."""
    return Record(
        headers=[(name, text.encode()) for name, text in document["headers"].items()],
        key=document["key"].encode(),
        value=json.dumps(document["value"], ensure_ascii=False).encode(),
        topic=document["topic"],
    )


def example_event(type_name: str) -> Event:
    """The data of the committed example as an event."""
    return BY_TYPE[type_name].model_validate_json(json.dumps(example(type_name)["value"]))


def written(event: Event, cause: Cause = CAUSE, sequence: int = 42, source: str = "/desk/tickets") -> Record:
    """The record that this product writes for an event."""
    headers = envelope.headers_of(
        id=EVENT_ID, source=source, type=event.type, subject=event.subject(), sequence=sequence, cause=cause
    )
    return Record([*headers], event.key().encode(), event.model_dump_json().encode())


def committed(folder: Path) -> set[str]:
    """The types that have a committed document in a folder."""
    return {path.stem for path in folder.glob("*.json")}
