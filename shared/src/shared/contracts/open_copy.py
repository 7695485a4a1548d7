"""The open copy of an event: the same fact without its personal fields, for systems that may not read those."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from shared.contracts.envelope import Event
from shared.contracts.personal import personal_fields

# What the name of a schema, an example and a part of a schema has behind it when it is of the copy.
OPEN, OPEN_PART = ".open", "Open"

# The fields that stay, each with those of the models in it.
_Kept = dict[str, "_Kept | None"]


def open_value(event: type[Event], value: bytes) -> bytes:
    """The JSON of an event without what is personal in it.

    Only fields that the class knows and does not mark stay: what an earlier release wrote may have been personal too.
    """
    whole = json.loads(value)
    return json.dumps(_stripped(whole, _kept(event)), ensure_ascii=False, separators=(",", ":")).encode()


def open_headers(headers: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers of the copy, from those of the event: the same, with the schema of the copy."""
    return [(name, text + b":open" if name == "ce_dataschema" else text) for name, text in headers]


def open_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of the copy, from that of the event. A part that loses a field gets a name of its own."""
    parts: Mapping[str, Any] = schema.get("$defs", {})
    changed = {name for name in parts if _reaches_personal(name, parts, set())}
    stripped = _without_personal({name: part for name, part in schema.items() if name != "$defs"}, changed)
    used = _used(stripped, parts, changed)
    defs = {
        f"{name}{OPEN_PART}" if name in changed else name: _without_personal(parts[name], changed)
        for name in parts
        if name in used
    }
    return {**stripped, "$id": f"{schema['$id']}:open", **({"$defs": defs} if defs else {})}


# -- values -------------------------------------------------------------------------------------------------------


def _stripped(value: Any, kept: _Kept) -> Any:
    if isinstance(value, list):
        return [_stripped(one, kept) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: part if kept[name] is None else _stripped(part, kept[name] or {})
        for name, part in value.items()
        if name in kept
    }


@lru_cache(maxsize=256)
def _kept(model: type[BaseModel]) -> _Kept:
    hidden = personal_fields(model)
    kept: _Kept = {}
    for name, field in model.model_fields.items():
        if name not in hidden:
            inner = [_kept(part) for part in _models_in(field.annotation)]
            kept[name] = {key: deeper for one in inner for key, deeper in one.items()} if inner else None
    return kept


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)


# -- schemas ------------------------------------------------------------------------------------------------------


def _is_personal(schema: Any) -> bool:
    """Whether a field's schema carries the mark itself, or one of its arms or elements does."""
    if isinstance(schema, list):
        return any(_is_personal(part) for part in schema)
    if not isinstance(schema, dict):
        return False
    if schema.get("x-personal"):
        return True
    return any(
        _is_personal(schema[name]) for name in ("anyOf", "oneOf", "allOf", "items", "prefixItems") if name in schema
    )


def _reaches_personal(name: str, parts: Mapping[str, Any], seen: set[str]) -> bool:
    """Whether a part has a personal field, or a part in it does."""
    if name in seen:
        return False
    seen.add(name)
    fields = parts[name].get("properties", {}).values()
    below = {inner for field in fields for inner in _references(field)}
    return any(_is_personal(field) for field in fields) or any(_reaches_personal(one, parts, seen) for one in below)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name == "$ref":
                yield str(part).rpartition("/")[2]
            else:
                yield from _references(part)


def _without_personal(schema: Any, changed: set[str]) -> Any:
    if isinstance(schema, list):
        return [_without_personal(part, changed) for part in schema]
    if not isinstance(schema, dict):
        return schema
    hidden = {name for name, field in schema.get("properties", {}).items() if _is_personal(field)}
    found: dict[str, Any] = {}
    for name, part in schema.items():
        if name == "properties":
            found[name] = {key: _without_personal(field, changed) for key, field in part.items() if key not in hidden}
        elif name == "required":
            found[name] = [key for key in part if key not in hidden]
        elif name == "$ref" and part.rpartition("/")[2] in changed:
            found[name] = f"{part}{OPEN_PART}"
        else:
            found[name] = _without_personal(part, changed)
    return found


def _used(schema: Any, parts: Mapping[str, Any], changed: set[str]) -> set[str]:
    """The parts, by their first names, that the copy still refers to."""
    used: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop().removesuffix(OPEN_PART)
        if name in parts and name not in used:
            used.add(name)
            waiting += _references(_without_personal(parts[name], changed))
    return used
