"""The command that writes what follows from the registry: JSON Schemas, their earlier versions, the page of events."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from shared.contracts.envelope import Event
from shared.contracts.topics import BY_TYPE, TOPICS, Topic

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
EXAMPLES = HERE / "examples"
PAGE = HERE / "EVENTS.md"
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


def refresh(schemas: Path = SCHEMAS, examples: Path = EXAMPLES) -> list[str]:
    """Writes the schema of every type of the registry. Returns a line for each that changed.

    A version that changes in meaning is kept with its example, so that the checks can hold every later one against it.
    """
    told = []
    schemas.mkdir(parents=True, exist_ok=True)
    for type_name, event in BY_TYPE.items():
        path, text = schemas / f"{type_name}.json", render(schema_of(event))
        if not path.exists():
            told.append(f"{type_name}: new")
        elif path.read_text(encoding="utf-8") == text:
            continue
        elif meaning(read_json(path)) != meaning(schema_of(event)):
            kept = _keep(path) and _keep(examples / path.name)
            told.append(f"{type_name}: changed, the earlier version is kept as {kept}")
        else:
            told.append(f"{type_name}: described anew")
        path.write_text(text, encoding="utf-8")
    return told


def events_page() -> str:
    """The page of all topics and events, for people; written from the registry, so that it cannot be wrong."""
    return "\n".join(["# Events", "", _INTRODUCTION, *(line for topic in TOPICS for line in _section(topic))]) + "\n"


_INTRODUCTION = """Written by `make contracts` from `topics.py` and the event classes; do not edit.

CloudEvents 1.0 over Kafka, binary mode: attributes are `ce_*` headers, the value is plain JSON. Delivery is at least
once and in order per key: deduplicate on `ce_id`, and where `ce_sequence` is lower than one that you have seen of the
same `ce_subject`, ignore the record. Unknown fields and unknown types are to be ignored. Within a version only optional
fields are added; anything else is a new type beside the old one. A topic with personal data is closed to outsiders."""


def _section(topic: Topic) -> list[str]:
    kept = "compacted" if topic.cleanup == "compact" else f"kept {topic.retention_days} days"
    closed = ", **personal data**" if topic.is_personal() else ""
    head = f"Written by {topic.owner}; key: {topic.keyed_by}; {topic.partitions} partitions, {kept}{closed}."
    table = ["| type | says |", "|---|---|"]
    for event in topic.events:
        says = (event.__doc__ or "").strip().splitlines()[0]
        table.append(
            f"| [`{event.type}`](schemas/{event.type}.json) ([example](examples/{event.type}.json)) | {says} |"
        )
    return ["", f"## `{topic.name}`", "", head, "", *table]


def missing_examples(examples: Path = EXAMPLES) -> list[str]:
    """The types that have no example message yet: those are written by hand."""
    return [name for name in BY_TYPE if not (examples / f"{name}.json").exists()]


def _keep(path: Path) -> str:
    if not path.exists():
        return "nothing"
    earlier = earlier_versions(path.parent, path.stem)
    number = int(earlier[-1].stem) + 1 if earlier else 1
    target = path.parent / EARLIER / path.stem / f"{number}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    return f"{EARLIER}/{path.stem}/{number}.json"


def main() -> int:
    """Refreshes schemas and page; 1 when an example message is still to be written."""
    for line in refresh():
        sys.stdout.write(line + "\n")
    PAGE.write_text(events_page(), encoding="utf-8")
    missing = missing_examples()
    for name in missing:
        sys.stdout.write(f"{name}: write an example message, examples/{name}.json\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
