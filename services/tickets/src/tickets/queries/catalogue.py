"""Reads categories and resolution codes: by name, and one of them, with what was shipped where that differs."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.db.statement import sql
from shared.db.transaction import Reader
from tickets.domain.catalogue import NoSuchEntry, Noun
from tickets.queries.written import Recorded, View, object_of
from tickets.repository.catalogue import FACTS, TABLE


class QuestionView(View):
    """What must be asked."""

    id: str
    asks: str


class EntryView(Recorded):
    """An entry, and whether it is as it was shipped."""

    id: str
    name: str
    retired: bool
    differs_from_shipped: bool | None = Field(description="null: it did not come with the product")
    shipped: dict[str, Any] | None = Field(description="what it was shipped as, where it differs")


class CategoryView(EntryView):
    """What a ticket is about, and what must be asked then."""

    questions: list[QuestionView]


class CodeView(EntryView):
    """How a matter was settled."""


_VIEW: dict[Noun, type[EntryView]] = {"category": CategoryView, "resolution-code": CodeView}


def _entry(noun: Noun) -> str:
    facts = ", ".join(f"'{name}', e.{name}" for name in FACTS[noun])
    differs = f"s.document <> jsonb_build_object({facts})"
    shown = f"CASE WHEN {differs} THEN s.document END"
    return object_of(_VIEW[noun], "e", differs_from_shipped=differs, shipped=shown)


_FROM = {
    noun: f"tickets.{table} e LEFT JOIN tickets.shipped s ON s.noun = '{noun}' AND s.id = e.id"
    for noun, table in TABLE.items()
}
_ONE = {
    noun: sql(f"SELECT e.version, {_entry(noun)}::text AS entry FROM {source} WHERE e.id = :id")
    for noun, source in _FROM.items()
}
_PAGE = {
    noun: f"SELECT e.name_key, e.id, {_entry(noun)}::text AS entry FROM {source} "
    "WHERE {conditions} ORDER BY e.name_key, e.id LIMIT :limit"
    for noun, source in _FROM.items()
}


async def list_entries(
    connection: Reader, noun: Noun, *, retired: bool | None, after: tuple[str, str] | None, limit: int
) -> list[tuple[str, str, str]]:
    """At most `limit` entries as (name key, id, JSON), by name; all of them, those in use, or those that are not."""
    conditions, values = ["true"], dict[str, Any]()
    if retired is not None:
        conditions.append("e.retired = :retired")
        values["retired"] = retired
    if after is not None:
        conditions.append("(e.name_key, e.id) > (:after_name, :after_id)")
        values |= {"after_name": after[0], "after_id": after[1]}
    statement = sql(_PAGE[noun].format(conditions=" AND ".join(conditions)))
    return [(row.name_key, row.id, row.entry) for row in await connection.fetch(statement, values | {"limit": limit})]


async def view_entry(connection: Reader, noun: Noun, id: str) -> tuple[int, str]:
    """Version and view of an entry as JSON. Raises NoSuchEntry."""
    row = await connection.fetch_first(_ONE[noun], {"id": id})
    if row is None:
        where = "categories" if noun == "category" else "resolution-codes"
        raise NoSuchEntry(f"there is no {noun.replace('-', ' ')} {id}: look it up with GET /v1/{where}")
    return row.version, row.entry
