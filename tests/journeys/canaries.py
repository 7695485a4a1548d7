"""Unmistakable texts that are planted where they may stand, and looked for everywhere else."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from shared.contracts.documents import schema_of
from shared.contracts.envelope import Event
from shared.contracts.topics import TOPICS

MODELS: Mapping[str, type[Event]] = {event.type: event for topic in TOPICS for event in topic.events}


@dataclass
class Canaries:
    """What was planted, by what it is."""

    planted: dict[str, str] = field(default_factory=dict)

    def plant(self, what: str) -> str:
        """A new one: letters and digits alone, so that no way of writing a text changes it."""
        return self.add(what, f"canary{secrets.token_hex(8)}")

    def add(self, what: str, text: str) -> str:
        """Something that is secret anyway, such as a password."""
        assert len(text) >= 16, f"{what} is too short to be told from other text"
        self.planted[what] = text
        return text

    def within(self, text: str | bytes) -> set[str]:
        """What of it stands in a text."""
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return {what for what, planted in self.planted.items() if planted in whole}


def secret_text(path: Path) -> str:
    """What to look for of a file that is a secret: all of its text, or of a PEM key a line that is like no other's."""
    text = path.read_text(encoding="ascii").strip()
    if path.suffix != ".pem":
        return text
    # The first line begins alike in all keys of a kind, and the last ones hold what everybody may know.
    return [line for line in text.splitlines() if not line.startswith("-----")][1]


def files_with(canaries: Canaries, folder: Path, *, without: Iterable[str]) -> dict[str, set[str]]:
    """The files below a folder that hold a canary, but for those below the named ones."""
    left_out = [folder / name for name in without]
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(path.is_relative_to(each) for each in left_out):
            told = canaries.within(path.read_bytes())
            if told:
                found[str(path.relative_to(folder))] = told
    return found


def places(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Every text of a document: where it stands, what it is, and whether its schema marks the place as personal."""
    yield from _places(value, [schema], root, "", personal=False)


def _places(
    value: Any, schemas: list[Mapping[str, Any]], root: Mapping[str, Any], path: str, *, personal: bool
) -> Iterator[tuple[str, str, bool]]:
    arms = list(_arms(schemas, root))
    personal = personal or any(arm.get("x-personal") for arm in arms)
    if isinstance(value, str):
        yield path, value, personal
    elif isinstance(value, dict):
        for name, member in value.items():
            yield f"{path}/{name} (the name)", name, False
            below = [arm["properties"][name] for arm in arms if name in arm.get("properties", {})]
            below += [arm["additionalProperties"] for arm in arms if isinstance(arm.get("additionalProperties"), dict)]
            yield from _places(member, below, root, f"{path}/{name}", personal=personal)
    elif isinstance(value, list):
        items = [arm["items"] for arm in arms if isinstance(arm.get("items"), dict)]
        for member in value:
            yield from _places(member, items, root, f"{path}[]", personal=personal)


def _arms(schemas: Iterable[Mapping[str, Any]], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for schema in schemas:
        yield schema
        if "$ref" in schema:
            yield from _arms([root["$defs"][schema["$ref"].rpartition("/")[2]]], root)
        for joint in ("anyOf", "oneOf", "allOf"):
            yield from _arms(schema.get(joint, ()), root)


@dataclass(frozen=True)
class Sighting:
    """A canary in a record of Kafka: where, and whether it may be there."""

    what: str
    type: str
    place: str
    allowed: bool


async def sightings(canaries: Canaries, bootstrap: str, topics: Iterable[str]) -> list[Sighting]:
    """Every canary in everything that the topics hold: keys, headers, and the values place by place."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    found: list[Sighting] = []
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    found += _in_record(canaries, record)
    finally:
        await consumer.stop()
    return found


def _in_record(canaries: Canaries, record: Any) -> list[Sighting]:
    headers = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
    type_ = headers.get("ce_type", "")
    found = [Sighting(what, type_, "key", False) for what in canaries.within(record.key or b"")]
    for name, text in headers.items():
        found += [Sighting(what, type_, f"header {name}", False) for what in canaries.within(f"{name}: {text}")]
    try:
        schema, document = schema_of(MODELS[type_]), json.loads(record.value)
    except (KeyError, ValueError):
        # Somebody else's: nothing in it is marked.
        return found + [Sighting(what, type_, "value", False) for what in canaries.within(record.value or b"")]
    for place, text, personal in places(document, schema, schema):
        found += [Sighting(what, type_, place, personal) for what in canaries.within(text)]
    return found
