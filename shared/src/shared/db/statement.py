"""Statements: SQL with named parameters, made into PostgreSQL's own form once, when its module is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect

TOLD_CHARACTERS = 160
_DIALECT = dialect()  # type: ignore[no-untyped-call]
_PLACE = re.compile(r"\$(\d+)")
_WITH = re.compile(r"\s*WITH\b", re.IGNORECASE)
_CHANGES = re.compile(r"\s*(?:INSERT\s+INTO|MERGE\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?([\w.]+)", re.IGNORECASE)
_LOCKS = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|SHARE|KEY\s+SHARE)\b|\w*advisory\w*|\bpg_notify\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement: its text with $1, $2 … and the name of the parameter that belongs to each place.

    `plain` is true of a SELECT that locks nothing and calls nothing that does (a sequence goes on whatever becomes of
    the transaction): under READ COMMITTED it sees the same before a transaction as in its first moment. `called` is the
    name under which pieces of a joined statement see it, `table` the one that it changes.
    """

    text: str
    names: tuple[str, ...]
    plain: bool = False
    called: str | None = None
    table: str | None = None

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values in the order of their places. Raises KeyError for a parameter that is missing."""
        return [parameters[name] for name in self.names]

    def told(self) -> str:
        """Its beginning on one line and the names of its parameters: enough to find it, and nothing of anybody's."""
        words = " ".join(self.text.split())
        shown = words if len(words) <= TOLD_CHARACTERS else f"{words[:TOLD_CHARACTERS]} …"
        return f"{shown} (given: {', '.join(self.names)})" if self.names else shown


@lru_cache(maxsize=1024)
def sql(words: str, *, called: str | None = None) -> Statement:
    """A statement with `:name` for its parameters; the same words make the same statement."""
    compiled = text(words).compile(dialect=_DIALECT)
    changes = _CHANGES.match(words)
    table = changes[1] if changes else None
    return Statement(compiled.string, tuple(compiled.positiontup or ()), called=called, table=table)


@lru_cache(maxsize=1024)
def query(words: str) -> Statement:
    """A SELECT that locks nothing, neither rows nor advisory locks. Raises ValueError for one that does."""
    if locks := _LOCKS.search(words):
        raise ValueError(f"a query that says {locks[0]} needs its transaction: make it with sql()")
    found = sql(words)
    return Statement(found.text, found.names, plain=True)


def composed(wanted: Select[Any]) -> tuple[Statement, Mapping[str, Any]]:
    """A SELECT that was put together from tables and conditions, with its parameters; compiled at each call."""
    compiled = wanted.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = tuple(compiled.positiontup or ())
    return Statement(compiled.string, names, plain=wanted._for_update_arg is None), compiled.params  # noqa: SLF001


def joined(pieces: Sequence[Statement]) -> Statement:
    """Several statements as one: each changes something, all see the same moment, and either all happen or none.

    The order in which PostgreSQL does them is not defined, so no two may change the same row. Each piece but the last
    becomes a part of a WITH, under the name by which a later one may refer to what it returns.
    """
    if len(pieces) == 1:
        return pieces[0]
    for piece in pieces:
        if _WITH.match(piece.text):
            raise ValueError(f"PostgreSQL takes no WITH inside a WITH that changes something: {piece.text}")
    texts: list[str] = []
    names: list[str] = []
    for number, piece in enumerate(pieces):
        words = _moved(piece.text, by=len(names))
        names.extend(piece.names)
        texts.append(words if number == len(pieces) - 1 else f"{piece.called or f'part_{number}'} AS ({words})")
    return Statement(f"WITH {', '.join(texts[:-1])} {texts[-1]}", tuple(names))


def _moved(words: str, *, by: int) -> str:
    return _PLACE.sub(lambda found: f"${int(found[1]) + by}", words)
