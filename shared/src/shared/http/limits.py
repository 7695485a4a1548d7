"""What a request may hold: size, time to arrive, and text that PostgreSQL can store."""

# FastAPI's own max_body_size is not used: with a declared length it replaces whatever the application answers by a
# plain text 413, so the problem that says what to do would be lost.
from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import GroupedMetadata
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError
from starlette.types import Message, Receive

from shared.errors import Invalid
from shared.http.context import RequestContext
from shared.http.problems import BodyTooLarge, BodyTooSlow
from shared.http.validation import problems_of_input

BODY_LIMIT = 256 * 1024
BODY_SECONDS = 20.0

_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89abAB])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]")


async def receive_whole(receive: Receive, context: RequestContext, limit: int, seconds: float) -> Receive:
    """Reads a body of at most `limit` bytes within `seconds` and hands it on in one piece.

    Raises BodyTooLarge (also for a chunked body, as soon as it passes the limit), BodyTooSlow, and Invalid for text in
    a JSON body that no field could store. A caller that goes away is passed on as the disconnection that it is.
    """
    if context.content_length is not None and context.content_length > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            message = await _read(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlow(f"Send the whole body within {seconds:g} seconds.") from error
    if message["type"] == "http.request":
        _refuse_unstorable(message["body"])
    pending: list[Message] = [message]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def refuse_unstorable_address(raw_path: bytes, query: bytes) -> None:
    """Refuses NUL in a path or a query, where it could only ever be an attack or an accident."""
    if b"%00" in raw_path or b"%00" in query:
        raise Invalid("Leave NUL characters (%00) out of the address.")


@dataclass(frozen=True)
class Clean(GroupedMetadata):
    """Makes a `str` clean text: `title: Annotated[str, Clean(max_length=200, lines=False)]`.

    Stripped, of `min_length` to `max_length` characters, no control characters; tabulators stay, and line breaks (as
    LF) where `lines` says so.
    """

    max_length: int
    min_length: int = 1
    lines: bool = True

    def __iter__(self) -> Iterator[Any]:
        yield StringConstraints(strip_whitespace=True, min_length=self.min_length, max_length=self.max_length)
        yield AfterValidator(_cleaned if self.lines else _cleaned_line)


# Text of a few paragraphs, and a name or a heading; a field that wants another limit says Clean(max_length=...).
CleanText = Annotated[str, Clean(max_length=4000)]
CleanLine = Annotated[str, Clean(max_length=200, lines=False)]


def _cleaned(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if _CONTROL.search(text):
        raise PydanticCustomError("control_characters", "no control characters")
    return text


def _cleaned_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise PydanticCustomError("one_line", "one line only")
    return _cleaned(text)


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


def _refuse_unstorable(body: bytes) -> None:
    """Refuses NUL and lone surrogates anywhere in a JSON body: PostgreSQL stores neither, in text or in JSON.

    Only a body that holds such an escape is read here; an escaped backslash before it is innocent, so the bytes alone
    do not decide.
    """
    if not _SUSPICIOUS_ESCAPE.search(body):
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    found = [{"type": "unstorable_text", "loc": ("body", *path)} for path in _unstorable(document)]
    if found:
        raise Invalid("Some text cannot be stored.", errors=problems_of_input(found))


def _unstorable(document: Any) -> Iterator[tuple[str | int, ...]]:
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            if _UNSTORABLE.search(value):
                yield path
        elif isinstance(value, dict):
            if any(_UNSTORABLE.search(name) for name in value):
                yield path
            waiting.extend(((*path, name), member) for name, member in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, index), member) for index, member in enumerate(value))
