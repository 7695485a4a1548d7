"""Keyset pagination: a page, its limit, and an opaque cursor that says where the next one begins."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar, cast

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from shared.errors import Invalid

_VERSION = 1
_LONGEST = 1024

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="how many items at most")]
DEFAULT_LIMIT = 50
After = Annotated[
    str | None, Query(max_length=_LONGEST, description="`next` of the page before; without it the first page")
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

    A route reads `limit + 1` rows after `keyset.start(after)` and answers `keyset.page(rows, limit, key)`.
    """

    def __init__(self, name: str, *types: Any) -> None:
        self.name = name
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
            return self._adapter.validate_json(to_json(document["a"]))
        except (binascii.Error, ValidationError, ValueError, KeyError, TypeError) as error:
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


def _refusal() -> InvalidCursor:
    return InvalidCursor("Send `next` of the page before unchanged, or leave `after` out to begin anew.")
