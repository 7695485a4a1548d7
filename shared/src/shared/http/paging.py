"""Keyset pagination: a page, its limit, and an opaque cursor that says where the next one begins."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar, cast, get_args
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from shared.errors import Invalid
from shared.spelling import LONGEST_SORT_KEY

_VERSION = 1
# Two sort keys and what stands around them fit, and the whole address fits into the 8 KiB that proxies take.
_LONGEST = 6 * 1024
# A value as a cursor writes it, in bytes at most, by its type. Every text is an id or a sort key.
_WIDEST: dict[Any, int] = {
    str: 4 * LONGEST_SORT_KEY + 2,
    int: 20,
    bool: 5,
    datetime: 40,
    UUID: 38,
    type(None): 4,
}
# What a BIGINT holds; every number that a list is sorted by is one.
_LARGEST = 2**63 - 1

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="how many items at most")]
DEFAULT_LIMIT = 50
After = Annotated[
    str | None,
    Query(
        max_length=_LONGEST,
        description="`next` of the page before; without it the first page",
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"},
    ),
]


class InvalidCursor(Invalid):
    """The cursor is not one that this list gave out."""

    code = "invalid-cursor"
    title = "The cursor is not valid"


class Page(BaseModel, Generic[T]):
    """A part of a list. `next` is null on the last page."""

    items: list[T]
    next: str | None = Field(default=None, description="send it as `after` to get the next page")
    limit: int


class Keyset:
    """The order of one list: its name and the types of the columns that it is sorted by, the last of them unique.

    A route reads `limit + 1` rows after `keyset.start(after)` and answers `keyset.page(rows, limit, key)`. What a list
    is sorted by has a bound, so that every cursor is one that the list takes: a text is an id or a sort key.
    """

    def __init__(self, name: str, *types: Any) -> None:
        """Raises ValueError for columns of which a cursor may be too long."""
        values = sum(max(_WIDEST[kind] for kind in get_args(each) or (each,)) + 1 for each in types)
        if (len(to_json({"v": _VERSION, "k": name, "a": []})) + values) * 4 / 3 > _LONGEST:
            raise ValueError(f"{name}: a cursor of it may be too long: sort it by less")
        self.name, self.types = name, types
        # A tuple type made at run time, which no type checker can follow.
        self._adapter: TypeAdapter[tuple[Any, ...]] = TypeAdapter(cast(Any, tuple.__class_getitem__(types)))

    def cursor(self, *values: Any) -> str:
        """The cursor that begins after the row with these sort values."""
        document = to_json({"v": _VERSION, "k": self.name, "a": values})
        return urlsafe_b64encode(document).rstrip(b"=").decode("ascii")

    def start(self, after: str | None) -> tuple[Any, ...] | None:
        """The sort values that a page begins after; None for the first page.

        Raises InvalidCursor for a cursor that was changed, or that is of another list or another release.
        """
        if after is None:
            return None
        try:
            document = from_json(_decoded(after))
            if document["v"] != _VERSION or document["k"] != self.name:
                raise _refusal()
            values = self._adapter.validate_json(to_json(document["a"]))
            return tuple(_comparable(value) for value in values)
        except (binascii.Error, ValidationError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise _refusal() from error

    def page(self, rows: Sequence[T], limit: int, key: Callable[[T], Sequence[Any]]) -> Page[T]:
        """The page of at most `limit` rows, with a cursor after the last one shown when a further one was read."""
        shown = list(rows[:limit])
        following = self.cursor(*key(shown[-1])) if len(rows) > limit and shown else None
        return Page(items=shown, next=following, limit=limit)


def _decoded(text: str) -> bytes:
    if len(text) > _LONGEST or not text.isascii():
        raise _refusal()
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _comparable(value: Any) -> Any:
    """The value when the database can compare a column with it: a cursor is not signed, so anybody may write one.

    Raises ValueError, and OverflowError for an instant that has no place in UTC.
    """
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("a number beyond every column")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a NUL character")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant without an offset")
        return value.astimezone(UTC)
    return value


def _refusal() -> InvalidCursor:
    return InvalidCursor("Send `next` of the page before unchanged, or leave `after` out to begin anew.")
