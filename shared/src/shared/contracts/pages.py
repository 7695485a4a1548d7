"""The pages of the events for people: one of all topics and one for each type, written from the registry."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.contracts.codes import OPEN_CODE
from shared.contracts.consumers import receivers
from shared.contracts.documents import HERE, example_of, schema_of
from shared.contracts.envelope import Event
from shared.contracts.headers import HEADERS, OPTIONAL
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import TOPICS, Topic, topic_of

INDEX = HERE / "EVENTS.md"
PAGES = HERE / "events"

NOBODY = "nobody here; it is told for other systems"
_WRITTEN = "Written by `make contracts` from the registry; do not edit."
_INTRODUCTION = f"""{_WRITTEN}

How to consume them is in the [guide](GUIDE.md); the same for machines is the AsyncAPI document, [whole](asyncapi.json)
or, for one service, at its `/asyncapi.json`. Every record is a CloudEvent 1.0 in Kafka's binary mode: the attributes
are headers, the value is plain JSON."""


def index() -> str:
    """The page of all topics, events and headers."""
    sections = [line for topic in TOPICS for line in _section(topic)]
    copies = [line for topic in TOPICS if topic.open_copy for line in _section_of_copy(topic)]
    lines = ["# Events", "", _INTRODUCTION, *sections, *copies, *_headers()]
    return "\n".join(lines) + "\n"


def event_pages() -> dict[Path, str]:
    """The page of every type, by its path. Raises OSError when a type has no committed example."""
    return {PAGES / f"{event.type}.md": event_page(event) for topic in TOPICS for event in topic.events}


def event_page(event: type[Event]) -> str:
    """What one event says, who tells it to whom, its fields and its example."""
    topic, example, schema = topic_of(event), example_of(event), schema_of(event)
    closed = " It carries personal data." if topic.is_personal() else ""
    lines = [
        f"# `{event.type}`", "", inspect.cleandoc(event.__doc__ or ""), "",
        f"- Topic: `{topic.name}`, key: {topic.keyed_by}.{closed}",
        *([f"- Without its personal fields also on `{topic.open_copy}`: [JSON](../schemas/{event.type}{OPEN}.json)"]
          if topic.open_copy else []),
        f"- Told by: {topic.owner}",
        f"- Received by: {', '.join(receivers(event)) or NOBODY}",
        f"- Schema: [JSON](../schemas/{event.type}.json). [All events](../EVENTS.md), [how to consume](../GUIDE.md)",
        "", "## Fields", "", *_fields(schema),
    ]  # fmt: skip
    for name, part in schema.get("$defs", {}).items():
        lines += ["", f"### {name}", "", part.get("description", ""), "", *_fields(part)]
    lines += [
        "",
        "## Example",
        "",
        f"Key `{example['key']}`",
        "",
        *_json(example["headers"]),
        "",
        *_json(example["value"]),
    ]
    return "\n".join([*lines, "", _WRITTEN]) + "\n"


def _section(topic: Topic) -> list[str]:
    kept = "compacted" if topic.cleanup == "compact" else f"kept {topic.retention_days} days"
    closed = ", **personal data: closed to outsiders**" if topic.is_personal() else ""
    head = f"Written by {topic.owner}; key: {topic.keyed_by}; {topic.partitions} partitions, {kept}{closed}."
    table = ["| type | says | received by |", "|---|---|---|"]
    for event in topic.events:
        says = (event.__doc__ or "").strip().splitlines()[0]
        table.append(f"| [`{event.type}`](events/{event.type}.md) | {says} | {', '.join(receivers(event)) or '–'} |")
    return ["", f"## `{topic.name}`", "", head, "", *table]


def _section_of_copy(topic: Topic) -> list[str]:
    schemas = ", ".join(f"[{event.type}](schemas/{event.type}{OPEN}.json)" for event in topic.events)
    return [
        "",
        f"## `{topic.open_copy}`",
        "",
        f"The open copy of `{topic.name}`, for other systems: every record of it without its personal fields, with the "
        "same id, type, key and sequence, under a schema of its own (`ce_dataschema` ends in `:open`).",
        "",
        f"Schemas: {schemas}.",
    ]


def _headers() -> Iterator[str]:
    yield from [
        "",
        "## Headers",
        "",
        "UTF-8 text. Later versions may add others.",
        "",
        "| header | says |",
        "|---|---|",
    ]
    for name, schema in HEADERS.items():
        says = schema.get("description") or f"always `{schema['const']}`"
        yield f"| `{name}` | {says}{' (optional)' if name in OPTIONAL else ''} |"


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    """The table of an object's fields."""
    yield from ["| field | type | |", "|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        notes = [
            "" if name in schema.get("required", []) else "optional",
            "**personal**" if "x-personal" in json.dumps(field) else "",
            field.get("description", ""),
        ]
        yield f"| `{name}` | {_kind(field)} | {'; '.join(note for note in notes if note)} |"


def _kind(field: Mapping[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "anyOf" in field:
        return " or ".join(_kind(arm) for arm in field["anyOf"])
    if field.get("format") == OPEN_CODE:
        return f"code: {', '.join(f'`{value}`' for value in field['examples'])}, or another one later"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return str(field.get("format") or field.get("type") or "any")


def _json(document: Mapping[str, Any]) -> list[str]:
    return ["```json", *json.dumps(document, indent=2, ensure_ascii=False).splitlines(), "```"]
