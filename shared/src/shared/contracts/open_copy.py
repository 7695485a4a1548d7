"""The open copy of an event: the same fact without its personal fields, for systems that may not read those.

Values and schema follow from the same thing, the JSON Schema of the event with its marks. So a copy is what its schema
says however a field is made: of models, lists, mappings, unions, or of what holds itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from shared.contracts.envelope import Event

# What the name of a schema, an example and a part of a schema has behind it when it is of the copy.
OPEN, OPEN_PART = ".open", "Open"

_ARMS = ("anyOf", "oneOf", "allOf")
# Where the mark of a field may lie: in its arms, its elements, its entries or their keys.
_INNER = (*_ARMS, "items", "prefixItems", "additionalProperties", "propertyNames")
# What a schema says of values as they are: no schema is in it.
_LITERAL = frozenset({"default", "examples", "const", "enum", "title", "description"})

_Schema = Mapping[str, Any]
_ANYTHING: _Schema = {}


def open_value(event: type[Event], value: bytes) -> bytes:
    """The JSON of an event without what is personal in it.

    Only fields that the class knows and does not mark stay: what an earlier release wrote may have been personal too.
    A name that is personal in one arm of a union goes from all of them: the JSON does not say which arm it is of.
    """
    copy = _shape_of(event).stripped(json.loads(value))
    return json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode()


def open_headers(headers: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers of the copy, from those of the event: the same, with the schema of the copy."""
    return [(name, text + b":open" if name == "ce_dataschema" else text) for name, text in headers]


def open_schema(schema: _Schema) -> dict[str, Any]:
    """The JSON Schema of the copy, from that of the event. A part that loses a field gets a name of its own."""
    parts: _Schema = schema.get("$defs", {})
    hidden = _Shapes(schema).hidden
    changed = _changed(parts, hidden)
    stripped = _rewritten(schema, hidden, changed)
    open_parts = {name: _rewritten(part, hidden, changed) for name, part in parts.items()}
    used = _used(stripped, open_parts)
    defs = {
        f"{name}{OPEN_PART}" if name in changed else name: part for name, part in open_parts.items() if name in used
    }
    return {**stripped, "$id": f"{schema['$id']}:open", **({"$defs": defs} if defs else {})}


# -- values -----------------------------------------------------------------------------------------------------------


class _Shape:
    """What may stand at one place of a value: the fields, entries and elements that stay, each with its own shape."""

    def __init__(self, leaves: list[_Schema]) -> None:
        self.leaves = leaves
        self.fields: dict[str, _Shape] = {}
        self.entries: _Shape | None = None
        self.first: list[_Shape] = []
        self.rest: _Shape | None = None
        self.is_model = any("properties" in leaf for leaf in leaves)
        # As under `Any`: nothing in it is known.
        self.is_anything = not all(leaf.keys() & {"type", "enum", "const"} for leaf in leaves)

    def stripped(self, value: Any) -> Any:
        """A value of this shape without what is personal."""
        if isinstance(value, dict):
            if self.is_model:
                return {name: self.fields[name].stripped(part) for name, part in value.items() if name in self.fields}
            if self.entries is not None:
                return {name: self.entries.stripped(part) for name, part in value.items()}
            return value if self.is_anything else {}
        if isinstance(value, list):
            shapes = [*self.first, *[self.rest] * (len(value) - len(self.first))]
            found = [one.stripped(part) for one, part in zip(shapes, value, strict=False) if one is not None]
            return value if self.is_anything and not (self.first or self.rest) else found
        return value


class _Shapes:
    """All shapes of one schema, and which names each object in it does not show: `hidden`, by the id of the object."""

    def __init__(self, schema: _Schema) -> None:
        self.parts: _Schema = schema.get("$defs", {})
        self.hidden: dict[int, set[str]] = {}
        self._made: dict[frozenset[int], _Shape] = {}
        self.root = self._shape([schema])
        self._hide_in_all_arms()

    def _shape(self, schemas: Iterable[_Schema]) -> _Shape:
        leaves = list({id(leaf): leaf for schema in schemas for leaf in self._leaves(schema, set())}.values())
        key = frozenset(map(id, leaves))
        if key not in self._made:
            self._made[key] = shape = _Shape(leaves)
            self._fill(shape)
        return self._made[key]

    def _fill(self, shape: _Shape) -> None:
        entries = [entry for leaf in shape.leaves for entry in _entries(leaf)]
        by_name: dict[str, list[_Schema]] = {}
        for leaf in shape.leaves:
            fields = leaf.get("properties", {})
            self.hidden[id(leaf)] = {name for name, field in fields.items() if self._is_personal(field, set())}
            for name, field in fields.items():
                by_name.setdefault(name, []).append(field)
        hidden = {name for leaf in shape.leaves for name in self.hidden[id(leaf)]}
        # A mapping beside a model may have an entry of the same name.
        shape.fields = {
            name: self._shape([*fields, *entries]) for name, fields in by_name.items() if name not in hidden
        }
        shape.entries = self._shape(entries) if entries else None
        lists = [leaf for leaf in shape.leaves if leaf.get("type") == "array"]
        longest = max((len(leaf.get("prefixItems", ())) for leaf in lists), default=0)
        shape.first = [self._shape(_elements(lists, number)) for number in range(longest)]
        rest = _elements(lists, longest)
        shape.rest = self._shape(rest) if rest else None

    def _hide_in_all_arms(self) -> None:
        """What one object hides, all hide that may stand at the same place, and then wherever else they stand."""
        goes_on = True
        while goes_on:
            goes_on = False
            for shape in self._made.values():
                together = set().union(*(self.hidden[id(leaf)] for leaf in shape.leaves))
                for leaf in shape.leaves:
                    if not together <= self.hidden[id(leaf)]:
                        self.hidden[id(leaf)] |= together
                        goes_on = True
        for shape in self._made.values():
            for name in set().union(*(self.hidden[id(leaf)] for leaf in shape.leaves)):
                shape.fields.pop(name, None)

    def _leaves(self, schema: _Schema, seen: set[str]) -> Iterator[_Schema]:
        """The schemas without arms that a value may be of."""
        if "$ref" in schema:
            name = _part(schema["$ref"])
            if name not in seen:
                yield from self._leaves(self.parts[name], seen | {name})
            return
        arms = [arm for kind in _ARMS for arm in schema.get(kind, ())]
        for arm in arms:
            yield from self._leaves(arm, seen)
        if not arms:
            yield schema

    def _is_personal(self, schema: Any, seen: set[str]) -> bool:
        """Whether a field's schema carries the mark itself, or an arm, an element, an entry or a key of it does."""
        if isinstance(schema, list):
            return any(self._is_personal(part, seen) for part in schema)
        if not isinstance(schema, dict):
            return False
        if schema.get("x-personal"):
            return True
        inner = [schema[name] for name in _INNER if name in schema]
        inner += schema.get("patternProperties", {}).values()
        name = _part(schema.get("$ref", ""))
        # The fields of a model have their own marks; a part that is none is like what it stands for.
        if name in self.parts and name not in seen and "properties" not in self.parts[name]:
            inner.append(self.parts[name])
        return any(self._is_personal(part, seen | {name}) for part in inner)


@lru_cache(maxsize=256)
def _shape_of(event: type[Event]) -> _Shape:
    return _Shapes(event.model_json_schema(mode="validation")).root


def _entries(leaf: _Schema) -> list[_Schema]:
    """What the values of a mapping may be; none of what is no mapping."""
    if "properties" in leaf or leaf.get("type") != "object":
        return []
    others = leaf.get("additionalProperties", False)
    return [*leaf.get("patternProperties", {}).values(), *([_ANYTHING if others is True else others] if others else [])]


def _elements(lists: Iterable[_Schema], number: int) -> list[_Schema]:
    """What the element at this place may be, in any of the lists."""
    found = []
    for leaf in lists:
        first = leaf.get("prefixItems", ())
        if number < len(first):
            found.append(first[number])
        elif "items" in leaf:
            found.append(leaf["items"])
    return found


# -- schemas ----------------------------------------------------------------------------------------------------------


def _part(reference: str) -> str:
    return reference.rpartition("/")[2]


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name == "$ref":
                yield _part(part)
            else:
                yield from _references(part)


def _changed(parts: _Schema, hidden: Mapping[int, set[str]]) -> set[str]:
    """The parts that lose a field, or refer to one that does."""
    left = {name: set(_references(_rewritten(part, hidden, set()))) for name, part in parts.items()}
    changed = {name for name, part in parts.items() if hidden.get(id(part), set()) & part.get("properties", {}).keys()}
    while more := {name for name, below in left.items() if below & changed} - changed:
        changed |= more
    return changed


def _rewritten(schema: Any, hidden: Mapping[int, set[str]], changed: set[str]) -> Any:
    """A schema without the fields that are hidden, and with the new names of the parts that changed."""
    if isinstance(schema, list):
        return [_rewritten(part, hidden, changed) for part in schema]
    if not isinstance(schema, dict):
        return schema
    gone = hidden.get(id(schema), set())
    found: dict[str, Any] = {}
    for name, part in schema.items():
        if name == "properties":
            found[name] = {key: _rewritten(field, hidden, changed) for key, field in part.items() if key not in gone}
        elif name == "required":
            found[name] = [key for key in part if key not in gone]
        elif name == "$ref":
            found[name] = _renamed(part, changed)
        elif name == "discriminator":
            mapping = {tag: _renamed(reference, changed) for tag, reference in part.get("mapping", {}).items()}
            found[name] = {**part, "mapping": mapping}
        elif name != "$defs":
            found[name] = part if name in _LITERAL else _rewritten(part, hidden, changed)
    return found


def _renamed(reference: str, changed: set[str]) -> str:
    return f"{reference}{OPEN_PART}" if _part(reference) in changed else reference


def _used(schema: Any, parts: _Schema) -> set[str]:
    """The parts, by their first names, that the copy still refers to."""
    used: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        name = name if name in parts else name.removesuffix(OPEN_PART)
        if name not in used:
            used.add(name)
            waiting += _references(parts[name])
    return used
