"""What a check of the doctor says: one line, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line. `action` says what to do; it is empty only where nothing need be done."""

    check: str
    state: State
    says: str
    action: str = ""


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", _one_line(says))


def warning(check: str, says: str, action: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(check, "warning", _one_line(says), action)


def problem(check: str, says: str, action: str) -> Finding:
    """It does not work, or it is unsafe."""
    return Finding(check, "problem", _one_line(says), action)


def _one_line(text: str) -> str:
    return " ".join(text.split())
