"""The marks that frame what is told again: to which run they belong, and how much of the archive that run tells."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

# The header that says to which run a record belongs, and the types of the marks.
RUN, BEGUN, ENDED = "ce_replayrun", b"desk.replay.begun.v1", b"desk.replay.ended.v1"


@dataclass(frozen=True)
class Scope:
    """How much a run tells: the positions after `after` until `until`, of these types; None stands for all there are
    when it begins."""

    after: int = 0
    until: int | None = None
    types: frozenset[str] | None = None

    def written(self) -> bytes:
        """The value of a mark."""
        types = sorted(self.types) if self.types is not None else None
        return json.dumps({"after": self.after, "until": self.until, "types": types}).encode()

    def lacks(self, needed: Collection[str]) -> str | None:
        """What it leaves out of these types, in words; None when it tells them whole."""
        if self.after > 0:
            return f"it tells only positions after {self.after}"
        if self.until is not None:
            return f"it tells only positions until {self.until}"
        missing = sorted(set(needed) - self.types) if self.types is not None else []
        return f"it tells nothing of {', '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Mark:
    """One mark in one partition. `scope` is None where it says none, as an earlier release wrote it."""

    run: str
    begins: bool
    scope: Scope | None

    def lacks(self, needed: Collection[str]) -> str | None:
        """The same of its run."""
        return self.scope.lacks(needed) if self.scope is not None else "it does not say how much it tells"


def mark_headers(run: UUID, *, begins: bool) -> list[tuple[str, bytes]]:
    """The headers of a mark."""
    return [("ce_type", BEGUN if begins else ENDED), run_header(run)]


def run_header(run: UUID) -> tuple[str, bytes]:
    """What says of any record to which run it belongs."""
    return RUN, str(run).encode()


def read_mark(headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> Mark | None:
    """The mark that a record is; None for any other record."""
    stated = dict(headers)
    kind, run = stated.get("ce_type"), stated.get(RUN)
    if kind not in (BEGUN, ENDED) or run is None:
        return None
    return Mark(run.decode(errors="replace"), kind == BEGUN, _scope(value))


def _scope(value: bytes | None) -> Scope | None:
    try:
        stated: Mapping[str, Any] = json.loads(value or b"")
        types = stated["types"]
        return Scope(stated["after"], stated["until"], frozenset(types) if types is not None else None)
    except (ValueError, TypeError, KeyError):
        return None
