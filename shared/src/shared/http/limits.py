"""What a request may hold: size, time to arrive, one plain JSON document, and text that PostgreSQL can store."""

# FastAPI's own max_body_size is not used: with a declared length it replaces whatever the application answers by a
# plain text 413, so the problem that says what to do would be lost.
from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

from annotated_types import GroupedMetadata
from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from starlette.types import Message, Receive, Scope

from shared.errors import Invalid
from shared.http.context import RequestContext
from shared.http.problems import BodyEncoded, BodyNotJson, BodyTooLarge, BodyTooSlow, UnreadableBody
from shared.http.validation import MOST_ERRORS, problems_of_input
from shared.stated import plain_line, plain_text, seen_text
from shared.visible import is_blank

BODY_LIMIT = 256 * 1024
BODY_SECONDS = 20.0
# Levels of a JSON document; the deepest that any address takes has four.
DEEPEST = 32

# For the description of a parameter that is text: NUL is refused at the edge.
NO_NUL = {"pattern": r"^[^\x00]*$"}

# What the framework takes for JSON; it would drop any other body without a word where none is needed.
_JSON = re.compile(rb"\s*application/(?:[^\s;,/]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89abAB])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# The same as the description says it: what may stand in a text, in a line, and what must stand somewhere in both.
_ALLOWED_IN_TEXT = r"[^\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f]"
_ALLOWED_IN_LINE = r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"
_VISIBLE = r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029]"


async def receive_whole(receive: Receive, context: RequestContext, limit: int, seconds: float) -> Message:
    """Reads a body of at most `limit` bytes within `seconds`, into one message.

    Raises BodyTooLarge (also for a chunked body, as soon as it passes the limit) and BodyTooSlow. For a caller that
    goes away the message is the disconnection.
    """
    if context.content_length is not None and context.content_length > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlow(f"Send the whole body within {seconds:g} seconds.") from error


def refuse_strange_body(body: bytes, context: RequestContext) -> None:
    """Raises BodyNotJson, UnreadableBody for what is not one plain JSON document, and Invalid for text in it that no
    field could store. No body at all is none of them.
    """
    if body:
        if not _JSON.fullmatch(context.content_type):
            raise BodyNotJson("Send a JSON document, with the header Content-Type: application/json.")
        _refuse_ambiguous(body)


def replaying(message: Message, receive: Receive) -> Receive:
    """Hands a message on that was read before, and then whatever comes."""
    pending: list[Message] = [message]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def refuse_strange_head(scope: Scope) -> None:
    """Refuses NUL in path or query, which could only be an attack or an accident, and a body that would be unpacked.

    Raises Invalid and BodyEncoded.
    """
    if b"%00" in (scope.get("raw_path") or b"") or b"%00" in scope["query_string"]:
        raise Invalid("Leave NUL characters (%00) out of the address.")
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in scope["headers"]):
        raise BodyEncoded("Send the body as it is, without Content-Encoding.")


@dataclass(frozen=True)
class Clean(GroupedMetadata):
    """Makes a `str` clean text: `title: Annotated[str, Clean(max_length=200, lines=False)]`.

    Stripped, of `min_length` to `max_length` characters, something to see among them, no control characters;
    tabulators stay, and line breaks (as LF) where `lines` says so. Where it may be empty, what cannot be seen is.
    """

    max_length: int
    min_length: int = 1
    lines: bool = True

    def __iter__(self) -> Iterator[Any]:
        yield StringConstraints(strip_whitespace=True, min_length=self.min_length, max_length=self.max_length)
        yield AfterValidator(plain_text if self.lines else plain_line)
        yield AfterValidator(seen_text if self.min_length > 0 else _empty_when_blank)
        # For the description alone: the validators say better what to do.
        yield WithJsonSchema(self._described())

    def _described(self) -> dict[str, Any]:
        letters = _ALLOWED_IN_TEXT if self.lines else _ALLOWED_IN_LINE
        pattern = f"^{letters}*$" if self.min_length == 0 else f"^{letters}*{_VISIBLE}{letters}*$"
        return {"type": "string", "minLength": self.min_length, "maxLength": self.max_length, "pattern": pattern}


# Text of a few paragraphs, and a name or a heading; a field that wants another limit says Clean(max_length=...).
CleanText = Annotated[str, Clean(max_length=4000)]
CleanLine = Annotated[str, Clean(max_length=200, lines=False)]


def _empty_when_blank(text: str) -> str:
    return "" if is_blank(text) else text


async def _read(receive: Receive, limit: int) -> Message:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(chunks), "more_body": False}


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"Send at most {limit} bytes.", limit_bytes=limit)


def _refuse_ambiguous(body: bytes) -> None:
    """Refuses what is not one JSON document that everybody reads alike and that PostgreSQL can store.

    The framework parses it once more, leniently: it takes UTF-16, NaN, and the last of two members of one name.
    Raises UnreadableBody, and Invalid where it is well formed and some text in it is not storable.
    """
    try:
        document = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise UnreadableBody("Send the body in UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        # A number of thousands of digits is among them: reading it would take the longer the longer it is.
        raise UnreadableBody("Send one JSON document in UTF-8, without a byte order mark.") from error
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _refuse_deep(document)
    # Only a body that holds such an escape is searched: raw bytes of that kind are no UTF-8, or no JSON.
    found = list(islice(_unstorable(document), MOST_ERRORS)) if _SUSPICIOUS_ESCAPE.search(body) else []
    if found:
        errors = [{"type": "unstorable_text", "loc": ("body", *path)} for path in found]
        raise Invalid("Some text cannot be stored.", errors=problems_of_input(errors))


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise UnreadableBody("Send each name once within an object.")
    return found


def _refuse_constant(_name: str) -> None:
    raise UnreadableBody("Send numbers: NaN and Infinity are not JSON.")


def _too_deep() -> UnreadableBody:
    return UnreadableBody(f"Send a document of at most {DEEPEST} levels.")


def _refuse_deep(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST):
        level = [member for value in level for member in _members(value) if isinstance(member, dict | list)]
        if not level:
            return
    raise _too_deep()


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


# A place in a document, told by the one around it: a path of its own for each of many would be a document of paths.
_Place = tuple[Any, "str | int"] | None


def _unstorable(document: Any) -> Iterator[list[str | int]]:
    waiting: list[tuple[_Place, Any]] = [(None, document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if _UNSTORABLE.search(value):
                yield _path_to(place)
        elif isinstance(value, dict):
            if any(_UNSTORABLE.search(name) for name in value):
                yield _path_to(place)
            waiting.extend(((place, name), member) for name, member in value.items())
        elif isinstance(value, list):
            waiting.extend(((place, index), member) for index, member in enumerate(value))


def _path_to(place: _Place) -> list[str | int]:
    path: list[str | int] = []
    while place is not None:
        place, name = place
        path.insert(0, name)
    return path
