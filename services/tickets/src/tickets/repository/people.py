"""People: stored as a file, an admin, they themselves or their token tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.contracts.envelope import Cause
from shared.contracts.teams import PersonRecorded
from shared.db.statement import query
from shared.db.transaction import Row, Transaction
from shared.spelling import sort_key
from tickets.repository.records import Stored, store, storing

_COLUMNS = ("id", "name", "name_key", "roles", "state", "mail", "telephone", "language", "absences")
# Somebody of whom nothing more was told.
_NEW: Mapping[str, Any] = {
    "name": None, "roles": [], "state": "active", "mail": None, "telephone": None, "language": "es", "absences": [],
}  # fmt: skip

_KNOWN = query("SELECT id FROM tickets.people WHERE id = ANY(:ids)")
_MEMBERS = query("""
    SELECT p.id, p.name FROM tickets.teams t JOIN tickets.people p ON t.members ? p.id
     WHERE t.id = :team AND p.state = 'active' ORDER BY p.name_key
""")
_STANDING = query("""
    SELECT EXISTS (SELECT FROM tickets.people p WHERE p.id = :id AND p.state = 'active') AS is_active,
           EXISTS (SELECT FROM tickets.teams t WHERE t.id = :team AND t.members ? :id) AS is_member
""")
_NAMES = query("SELECT id, name FROM tickets.people ORDER BY id")


async def store_people(tx: Transaction, cause: Cause, people: Sequence[Mapping[str, Any]]) -> Stored:
    """Stores what is told of people, of each the same columns; what is not told of somebody known stays as it is."""
    told = [name for name in _COLUMNS if name in people[0] and name != "id"]
    if "name" in told:
        told.append("name_key")
    rows = [{**_NEW, **one, "name_key": sort_key(one.get("name") or one["id"])} for one in people]
    return await store(tx, storing("people", _COLUMNS, told), cause, rows)


async def unknown_people(tx: Transaction, ids: Iterable[str]) -> list[str]:
    """Those of these ids that are nobody's."""
    wanted = sorted(set(ids))
    known = {row.id for row in await tx.fetch(_KNOWN, {"ids": wanted})}
    return [each for each in wanted if each not in known]


async def standing(tx: Transaction, id: str, team_id: str | None) -> tuple[bool, bool]:
    """Whether this is somebody who works here, and whether they are in that team."""
    row = await tx.fetch_one(_STANDING, {"id": id, "team": team_id})
    return row.is_active, row.is_member


async def read_team(tx: Transaction, team_id: str | None) -> dict[str, str | None]:
    """The names of a team's active members, by id."""
    return {row.id: row.name for row in await tx.fetch(_MEMBERS, {"team": team_id})}


async def read_names(tx: Transaction) -> dict[str, str | None]:
    """Everybody's name, by id."""
    return {row.id: row.name for row in await tx.fetch(_NAMES)}


def recorded(row: Row) -> PersonRecorded:
    """The record that is told of a stored person."""
    return PersonRecorded(**{name: row[name] for name in _COLUMNS if name != "name_key"})
