"""Reads clients: who is calling, by words in any spelling."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from typing import Any

from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.spelling import search_words
from tickets.queries.written import View, literal, object_of


class ClientView(View):
    """A client as the desk knows it from inventory."""

    id: str
    name: str
    tax_id: str | None
    tier: str
    city: str | None
    contact: str | None
    phone: str | None


_CLIENTS = f"""
SELECT c.name_key, c.id, {object_of(ClientView, "c")}::text AS client
  FROM tickets.clients c
 WHERE NOT c.retired AND {{conditions}}
 ORDER BY c.name_key, c.id LIMIT :limit
"""
# A word of a question, which has no spaces and no punctuation, is looked for in what has none either.
_NAMES_CLIENT = (
    "(replace(c.name_key, ' ', '') LIKE {word} OR replace(c.id, '-', '') LIKE {word} OR c.tax_key LIKE {word})"
)


async def find_clients(
    connection: Reader, q: str | None, *, after: tuple[str, str] | None, limit: int
) -> list[tuple[str, str, str]]:
    """At most `limit` clients whose name, id or tax id holds every word of `q`, as (name key, id, JSON), by name."""
    words = search_words(q or "")
    conditions = [_NAMES_CLIENT.format(word=f":word{index}") for index in range(len(words))]
    values: dict[str, Any] = {f"word{index}": f"%{literal(word)}%" for index, word in enumerate(words)}
    if after is not None:
        conditions.append("(c.name_key, c.id) > (:after_name, :after_id)")
        values |= {"after_name": after[0], "after_id": after[1]}
    statement = sql(_CLIENTS.format(conditions=" AND ".join(conditions) or "true"))
    return [(row.name_key, row.id, row.client) for row in await connection.fetch(statement, values | {"limit": limit})]
