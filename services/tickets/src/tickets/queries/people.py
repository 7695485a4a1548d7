"""Reads people: the list by name, and one of them with the teams that they are in."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.teams import Language, PersonState
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.spelling import search_words
from tickets.domain.person import NoSuchPerson
from tickets.queries.written import Named, Recorded, View, array_of, literal, object_of


class AbsenceView(View):
    """A stretch in which somebody is not there; the end is exclusive."""

    from_at: AwareDatetime
    until_at: AwareDatetime
    why: str | None


class PersonView(Recorded):
    """Somebody who works with the desk. Name and roles are those of the latest token."""

    id: str
    name: str | None = Field(description="null while no token has said it")
    roles: list[str]
    state: Annotated[str, written(PersonState)]
    mail: str | None
    telephone: str | None
    language: Annotated[str, written(Language)]
    absences: list[AbsenceView]
    teams: list[Named] = Field(description="the teams in use that they are a member of")


def is_member(team: str, person: str) -> str:
    """The SQL of whether somebody is a member of a team, in the form that the index knows."""
    return f"{team}.members @> jsonb_build_array({person})"


_TEAMS = array_of(
    object_of(Named, "g"), "g.name_key, g.id", f"tickets.teams g WHERE NOT g.retired AND {is_member('g', 'p.id')}"
)
_PERSON = object_of(PersonView, "p", teams=_TEAMS)
_ONE = sql(f"SELECT p.version, {_PERSON}::text AS person FROM tickets.people p WHERE p.id = :id")
_PAGE = f"""
SELECT p.name_key, p.id, {_PERSON}::text AS person
  FROM tickets.people p
 WHERE {{conditions}}
 ORDER BY p.name_key, p.id LIMIT :limit
"""
_SPELT = "translate(lower({}), '.-_@', '') LIKE {{word}}"
_IS_CALLED = f"(replace(p.name_key, ' ', '') LIKE {{word}} OR {_SPELT.format('p.id')} OR {_SPELT.format('p.mail')})"
_CONDITIONS = {
    "team": f"EXISTS (SELECT FROM tickets.teams g WHERE g.id = :team AND {is_member('g', 'p.id')})",
    "role": "p.roles @> jsonb_build_array(CAST(:role AS text))",
    "state": "p.state = :state",
}


async def list_people(
    connection: Reader, *, q: str | None, after: tuple[str, str] | None, limit: int, **wanted: str | None
) -> list[tuple[str, str, str]]:
    """At most `limit` people as (name key, id, JSON), by name: whose name, id or mail holds every word of `q`, and who
    fit what else is wanted of `team`, `role` and `state`."""
    words = search_words(q or "")
    conditions = [_IS_CALLED.format(word=f":word{index}") for index in range(len(words))]
    values: dict[str, Any] = {f"word{index}": f"%{literal(word)}%" for index, word in enumerate(words)}
    for name, condition in _CONDITIONS.items():
        if wanted[name] is not None:
            conditions.append(condition)
            values[name] = wanted[name]
    if after is not None:
        conditions.append("(p.name_key, p.id) > (:after_name, :after_id)")
        values |= {"after_name": after[0], "after_id": after[1]}
    statement = sql(_PAGE.format(conditions=" AND ".join(conditions) or "true"))
    return [(row.name_key, row.id, row.person) for row in await connection.fetch(statement, values | {"limit": limit})]


async def view_person(connection: Reader, id: str) -> tuple[int, str]:
    """Version and view of a person as JSON. Raises NoSuchPerson."""
    row = await connection.fetch_first(_ONE, {"id": id})
    if row is None:
        raise NoSuchPerson(f"nobody knows {id}: look them up with GET /v1/people?q=…")
    return row.version, row.person
