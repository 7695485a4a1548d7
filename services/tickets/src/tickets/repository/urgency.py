"""Schemes of urgency: stored whole, each in force from its instant on."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.statement import query
from shared.db.transaction import Transaction
from tickets.domain.scheme import Conditions, Occasions, PriorityRule, PriorityShift, Scheme
from tickets.repository.records import Stored, store, storing

_COLUMNS = ("id", "valid_from", "terms")
_STORE = storing("urgency_schemes", _COLUMNS, _COLUMNS[1:])
_ALL = query("SELECT id, valid_from, terms FROM tickets.urgency_schemes ORDER BY valid_from, id")
# What this release ships of it, by this noun.
NOUN = "urgency-scheme"
LATEST_SHIPPED = f"""(SELECT s.document FROM tickets.shipped s WHERE s.noun = '{NOUN}'
    ORDER BY CAST(s.document ->> 'valid_from' AS timestamptz) DESC LIMIT 1)"""
_SHIPPED = query(f"SELECT {LATEST_SHIPPED} AS document")
_ONE = query("SELECT id, valid_from, terms FROM tickets.urgency_schemes WHERE id = :id")


def in_force(at: str) -> str:
    """The SQL of the JSON of the scheme that is in force at an instant."""
    return f"""(SELECT json_build_object('id', u.id, 'valid_from', u.valid_from, 'terms', u.terms)
        FROM tickets.urgency_schemes u WHERE u.valid_from <= {at} ORDER BY u.valid_from DESC LIMIT 1)"""


async def read_schemes(tx: Transaction) -> list[Scheme]:
    """Every scheme, by its beginning."""
    return [scheme_of(row.id, row.valid_from, row.terms) for row in await tx.fetch(_ALL)]


async def read_scheme(tx: Transaction, id: str | None) -> Scheme | None:
    """One scheme; None where there is none of this id."""
    row = await tx.fetch_first(_ONE, {"id": id}) if id is not None else None
    return None if row is None else scheme_of(row.id, row.valid_from, row.terms)


async def read_terms(tx: Transaction, id: str) -> tuple[datetime, Mapping[str, Any]] | None:
    """When a scheme begins, and its terms as they are stored; None where there is none of this id."""
    row = await tx.fetch_first(_ONE, {"id": id})
    return None if row is None else (row.valid_from, row.terms)


async def latest_shipped(tx: Transaction) -> Mapping[str, Any] | None:
    """The terms that this release ships; None where the defaults were never loaded."""
    found: Mapping[str, Any] | None = await tx.fetch_value(_SHIPPED)
    return found


async def store_schemes(tx: Transaction, cause: Cause, rows: Sequence[Mapping[str, Any]]) -> Stored:
    """Stores the schemes that are new or differ."""
    return await store(tx, _STORE, cause, rows)


@lru_cache(maxsize=16)
def scheme_in(document: str) -> Scheme:
    """The scheme in the JSON of `in_force`; the same text, as of every opening between two changes, is read once."""
    found = json.loads(document)
    return scheme_of(found["id"], datetime.fromisoformat(found["valid_from"]), found["terms"])


def scheme_of(id: str, valid_from: datetime, terms: Mapping[str, Any]) -> Scheme:
    """A scheme, from how it is stored or written."""
    return Scheme(
        id=id,
        valid_from=valid_from,
        matrix=tuple(tuple(row) for row in terms["matrix"]),
        unknown_counts_as=terms["unknown_counts_as"],
        rules=tuple(PriorityRule(**one | {"when": Conditions(**_asked(one["when"]))}) for one in terms["rules"]),
        shifts=tuple(PriorityShift(**one | {"when": Occasions(**one["when"])}) for one in terms["shifts"]),
    )


def _asked(when: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in when.items()}
