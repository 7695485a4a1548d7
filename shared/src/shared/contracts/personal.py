"""The mark of personal data: what carries it is closed to outsiders, never logged, and erased on request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, Field

T = TypeVar("T")


@dataclass(frozen=True)
class PersonalMark:
    """Marks a field that holds personal data; the log redactor and the closed topics follow from it."""


# A name, a telephone, an address, what somebody said. Personal data is allowed in fields of this type only.
Personal = Annotated[T, PersonalMark(), Field(json_schema_extra={"x-personal": True})]


def holds_personal(annotation: Any, _above: frozenset[Any] = frozenset()) -> bool:
    """Whether a type is marked `Personal`, or a part of it is: arm of a union, element, field of a nested model."""
    if isinstance(annotation, PersonalMark):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in _above:  # a model that holds itself
            return False
        inside, fields = _above | {annotation}, annotation.model_fields.values()
        return any(holds_personal(part, inside) for found in fields for part in (found.annotation, *found.metadata))
    parts = (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return any(holds_personal(part, _above) for part in parts)


@lru_cache(maxsize=1024)
def personal_fields(model: type[BaseModel]) -> frozenset[str]:
    """The names of the fields that a model itself marks `Personal`, also inside a list or an optional."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if any(isinstance(mark, PersonalMark) for mark in field.metadata) or _is_marked(field.annotation)
    )


def _is_marked(annotation: Any) -> bool:
    return isinstance(annotation, PersonalMark) or any(
        _is_marked(part) for part in (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    )
