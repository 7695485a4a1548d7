"""Categories and resolution codes: stored, and what of them an action must know."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.statement import query
from shared.db.transaction import Transaction
from shared.spelling import sort_key
from tickets.domain.catalogue import Category, Noun
from tickets.repository.records import Stored, store, storing

# The table of each noun, and what is said of an entry.
TABLE: Mapping[Noun, str] = {"category": "categories", "resolution-code": "resolution_codes"}
FACTS: Mapping[Noun, tuple[str, ...]] = {
    "category": ("name", "questions", "retired"),
    "resolution-code": ("name", "retired"),
}
_STORE = {
    noun: storing(table, ("id", "name_key", *FACTS[noun]), ("name_key", *FACTS[noun])) for noun, table in TABLE.items()
}
_PRESENT = {noun: query(f"SELECT id FROM tickets.{table}") for noun, table in TABLE.items()}
_IN_USE = {
    noun: query(f"SELECT id, name FROM tickets.{table} WHERE NOT retired ORDER BY name_key, id")
    for noun, table in TABLE.items()
}
_CODE = query("SELECT 1 FROM tickets.resolution_codes WHERE id = :id AND NOT retired")


def category(id: str) -> str:
    """The SQL of the JSON of a category."""
    return f"""(SELECT json_build_object('id', y.id, 'questions', y.questions, 'retired', y.retired)
        FROM tickets.categories y WHERE y.id = {id})"""


def category_of(found: Mapping[str, Any] | None) -> Category | None:
    """A category, from the JSON of `category`."""
    if found is None:
        return None
    questions = {one["id"]: one["asks"] for one in found["questions"]}
    return Category(found["id"], questions, found["retired"])


async def store_entries(tx: Transaction, cause: Cause, noun: Noun, entries: Sequence[Mapping[str, Any]]) -> Stored:
    """Stores the entries that are new or differ."""
    rows = [{**one, "name_key": sort_key(one["name"])} for one in entries]
    return await store(tx, _STORE[noun], cause, rows)


async def present_entries(tx: Transaction, noun: Noun) -> frozenset[str]:
    """The ids of all entries, retired ones too."""
    return frozenset(row.id for row in await tx.fetch(_PRESENT[noun]))


async def entries_in_use(tx: Transaction, noun: Noun) -> dict[str, str]:
    """The names of what may be given, by id."""
    return {row.id: row.name for row in await tx.fetch(_IN_USE[noun])}


async def is_code_in_use(tx: Transaction, id: str) -> bool:
    """Whether this resolution code may be given."""
    return await tx.fetch_value(_CODE, {"id": id}) is not None
