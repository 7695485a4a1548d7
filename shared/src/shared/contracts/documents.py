"""The committed documents of the published language: where they lie, what a schema is, how each is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.contracts.envelope import Event
from shared.contracts.open_copy import OPEN, open_schema, open_value
from shared.contracts.topics import BY_TYPE, OPEN_COPIES, TOPIC_OF

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
EXAMPLES = HERE / "examples"
EARLIER = "earlier"

# What a schema says to people only; a change of it needs no version to be kept.
_FOR_PEOPLE = frozenset({"title", "description", "examples"})


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's data, as the class reads it: fields with defaults may be absent."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:desk:schema:{event.type}",
        **event.model_json_schema(mode="validation"),
    }


def open_schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of the open copy of an event."""
    return open_schema(schema_of(event))


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every schema that is committed, by the name of its file: of each type, and of those that have an open copy."""
    return {
        **{name: schema_of(event) for name, event in BY_TYPE.items()},
        **{f"{event.type}{OPEN}": open_schema_of(event) for topic in OPEN_COPIES for event in topic.events},
    }


def open_example_of(event: type[Event]) -> dict[str, Any]:
    """What a reader of the open copy gets of the committed example of a type."""
    example = example_of(event)
    value = json.loads(open_value(event, json.dumps(example["value"]).encode()))
    headers = {**example["headers"], "ce_dataschema": f"urn:desk:schema:{event.type}:open"}
    return {"topic": TOPIC_OF[event.type].open_copy, "key": example["key"], "headers": headers, "value": value}


def example_of(event: type[Event]) -> dict[str, Any]:
    """The committed example message of a type: topic, key, headers and value. Raises OSError when there is none."""
    return read_json(EXAMPLES / f"{event.type}.json")


def render(document: dict[str, Any]) -> str:
    """A document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """A committed document. Raises ValueError when it is not a JSON object."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return document


def earlier_versions(folder: Path, type_name: str) -> list[Path]:
    """The kept earlier versions of a type's schema or example, oldest first."""
    return sorted((folder / EARLIER / type_name).glob("*.json"), key=lambda path: int(path.stem))


def meaning(schema: Any) -> Any:
    """A schema without what is only for people. Names of properties are never taken for annotations."""
    if isinstance(schema, list):
        return [meaning(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: meaning(part) for field, part in value.items()}
        if name in {"properties", "$defs"}
        else meaning(value)
        for name, value in schema.items()
        if name not in _FOR_PEOPLE
    }
