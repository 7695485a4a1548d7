"""Keeps secrets and personal data out of logs."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from shared.contracts.personal import personal_fields

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"authori[sz]ation|passw(or)?d|passphrase|secret|cookie|credential|api[_-]?key|private[_-]?key|(^|_|-)token$",
    re.IGNORECASE,
)
_SECRETS_IN_TEXT = (
    (re.compile(r"(authorization['\"]?\s*[:=,]\s*b?['\"]?\w+\s+)[^\s,;'\"]+", re.IGNORECASE), r"\1" + REDACTED),
    (re.compile(r"(\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE), r"\1" + REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), r"\1:" + REDACTED + "@"),
    (
        re.compile(r"((?:passw(?:or)?d|secret|_token)['\"]?\s*[=:]\s*['\"]?)[^\s,;&'\"]+", re.IGNORECASE),
        r"\1" + REDACTED,
    ),
    # PostgreSQL tells the values of the row that it refused, SQLAlchemy the parameters of the statement.
    (
        re.compile(r"\bDETAIL:.*?(?=\n(?:\[SQL:|HINT:|Traceback |\n?(?:The above|During handling))|\Z)", re.DOTALL),
        "DETAIL: " + REDACTED,
    ),
    # The driver quotes the argument that it could not send, PostgreSQL the text that it could not read.
    (
        re.compile(r"((?:invalid (?:input|byte)|malformed \w+ literal)[^:\n]*:).*?(?=\n\S|\Z)", re.DOTALL),
        r"\1 " + REDACTED,
    ),
    (re.compile(r'\bvalue "[^"]*" is out of range'), f'value "{REDACTED}" is out of range'),
    (re.compile(r"\[parameters:.*", re.DOTALL), "[parameters: " + REDACTED + "]"),
    (re.compile(r"\binput_value=.*?, input_type="), "input_value=" + REDACTED + ", input_type="),
)
# One search tells of nearly every text that none of these applies; a request's access line is written thousands of
# times a second.
_SUSPICIOUS = re.compile(
    r"bearer|authorization|eyJ|://|passw|secret|_token|DETAIL:|\[parameters|input_value=|invalid |malformed |is out of",
    re.IGNORECASE,
)
_DEEPEST = 8
_LONGEST_TEXT = 16_384


def redact_text(text: str) -> str:
    """The text without tokens, passwords and values that a database or a validator quotes."""
    if _SUSPICIOUS.search(text):
        for pattern, replacement in _SECRETS_IN_TEXT:
            text = pattern.sub(replacement, text)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what stands under this name must never be written."""
    return _SECRET_NAME.search(name) is not None


def redact(value: Any, depth: int = 0) -> Any:
    """The value as it may be logged: secrets replaced, `Personal` fields of models left out, the rest unchanged."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _DEEPEST:
        return f"<{type(value).__name__}>"
    if isinstance(value, BaseModel):
        return _redact_model(value, depth)
    if isinstance(value, Mapping):
        return {str(name): _redact_member(str(name), member, depth) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(member, depth + 1) for member in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _redact_member(each.name, getattr(value, each.name), depth) for each in fields(value)}
    if isinstance(value, BaseException):
        return describe_error(value)
    return redact_text(str(value))


def describe_error(error: BaseException) -> str:
    """The type of an error and what it says, without the input that some errors quote."""
    return f"{type(error).__qualname__}: {_message(error)}"


def render_traceback(error: BaseException, trace: TracebackType | None = None) -> str:
    """The chain of an error with its frames, each error told by `describe_error`."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    frames = trace if trace is not None else error.__traceback__
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.insert(0, "".join(traceback.format_tb(frames)) + describe_error(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        frames = current.__traceback__ if current is not None else None
    return "\n\n".join(lines)


def _message(error: BaseException) -> str:
    # The validation errors of pydantic and FastAPI quote the input; what and where is enough.
    problems = getattr(error, "errors", None)
    if callable(problems):
        found = problems()
        told = (f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('type')}" for each in found[:10])
        return f"{len(found)} validation errors: " + ", ".join(told)
    if isinstance(error, BaseExceptionGroup):
        return f"{error.message}: " + "; ".join(describe_error(each) for each in error.exceptions[:10])
    return redact_text(str(error))


def _redact_member(name: str, member: Any, depth: int) -> Any:
    return REDACTED if is_secret_name(name) else redact(member, depth + 1)


def _redact_model(model: BaseModel, depth: int) -> dict[str, Any]:
    personal = personal_fields(type(model))
    return {
        name: _redact_member(name, getattr(model, name), depth)
        for name in type(model).model_fields
        if name not in personal
    }
