"""Reads rotas: the list, one of them with the people whom it names, and who is on call at an instant."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from shared.contracts.codes import written
from shared.contracts.teams import Absence, Weekday
from shared.db.statement import query, sql
from shared.db.transaction import Reader
from tickets.domain.person import Person, presence
from tickets.domain.rota import NoRota, NoSuchRota, OnCall, on_call
from tickets.domain.team import NoSuchTeam
from tickets.queries.teams import MEMBER, MemberView
from tickets.queries.written import Named, Recorded, View, array_of, object_of
from tickets.repository.rotas import rota_of


class ShiftView(View):
    """Every week on a day from one hour to another, of the next day where that is not later."""

    place: int
    day: Annotated[str, written(Weekday)]
    begins: str
    ends: str
    person_id: str


class OverrideView(View):
    """A stretch in which another one, or nobody, has a place."""

    place: int
    from_at: AwareDatetime
    until_at: AwareDatetime
    person_id: str | None


class RotaView(Recorded):
    """Who of a team is on call."""

    id: str
    team_id: str
    zone: str
    shifts: list[ShiftView]
    overrides: list[OverrideView]
    people: list[MemberView] = Field(description="everybody whom it names")
    retired: bool


class ContactView(BaseModel):
    """How to reach somebody."""

    id: str
    name: str | None
    telephone: str | None
    mail: str | None


class PlaceView(BaseModel):
    """One place in the line."""

    place: int = Field(description="1 is called first, 2 when 1 does not answer")
    person: ContactView | None = Field(description="null: nobody has this place, a hole")
    passed_over: Literal["inactive", "absent"] | None = Field(description="why they are not called")
    until_at: AwareDatetime | None = Field(description="when this changes next")


class OnCallView(BaseModel):
    """Who of a team would be called at an instant."""

    team: Named
    at: AwareDatetime
    call: ContactView | None = Field(description="the first in the line who is there; null: nobody is")
    places: list[PlaceView]


_NAMED = (
    "tickets.people p WHERE p.id IN (SELECT s ->> 'person_id' FROM jsonb_array_elements(r.shifts || r.overrides) s)"
)
_ROTA = object_of(RotaView, "r", people=array_of(MEMBER, "p.name_key, p.id", _NAMED))
_ONE = sql(f"SELECT r.version, {_ROTA}::text AS rota FROM tickets.rotas r WHERE r.id = :id")
_PAGE = f"SELECT r.id, {_ROTA}::text AS rota FROM tickets.rotas r WHERE {{conditions}} ORDER BY r.id LIMIT :limit"
_PERSON = """json_build_object('id', p.id, 'name', p.name, 'telephone', p.telephone, 'mail', p.mail, 'state', p.state,
                               'absences', p.absences)"""
_ON_CALL = query(f"""
    SELECT t.name, r.id AS rota, r.zone, r.shifts, r.overrides, {array_of(_PERSON, "p.id", _NAMED)} AS people
      FROM tickets.teams t LEFT JOIN tickets.rotas r ON r.team_id = t.id AND NOT r.retired
     WHERE t.id = :team
""")


async def list_rotas(
    connection: Reader, *, team: str | None, after: tuple[str] | None, limit: int
) -> list[tuple[str, str]]:
    """At most `limit` rotas as (id, JSON), by id; of one team, or of all."""
    conditions: list[str] = []
    values: dict[str, Any] = {"limit": limit}
    if team is not None:
        conditions.append("r.team_id = :team")
        values |= {"team": team}
    if after is not None:
        conditions.append("r.id > :after")
        values |= {"after": after[0]}
    statement = sql(_PAGE.format(conditions=" AND ".join(conditions) or "true"))
    return [(row.id, row.rota) for row in await connection.fetch(statement, values)]


async def view_rota(connection: Reader, id: str) -> tuple[int, str]:
    """Version and view of a rota as JSON. Raises NoSuchRota."""
    row = await connection.fetch_first(_ONE, {"id": id})
    if row is None:
        raise NoSuchRota(f"there is no rota {id}: look it up with GET /v1/rotas")
    return row.version, row.rota


async def tell_on_call(connection: Reader, team: str, at: datetime) -> OnCallView:
    """Who of a team is on call at an instant. Raises NoSuchTeam, NoRota."""
    row = await connection.fetch_first(_ON_CALL, {"team": team})
    if row is None:
        raise NoSuchTeam(f"there is no team {team}: look it up with GET /v1/teams")
    if row.rota is None:
        raise NoRota(f"nobody ever said who of {team} is on call: record it with PUT /v1/rotas/{{id}}")
    people = {one["id"]: one for one in row.people}
    rota = rota_of(team, row.zone, row.shifts, row.overrides)
    places = [_place(one, people, at) for one in on_call(rota, at)]
    there = (one.person for one in places if one.person is not None and one.passed_over is None)
    return OnCallView(team=Named(id=team, name=row.name), at=at, call=next(there, None), places=places)


def _place(one: OnCall, people: Mapping[str, Mapping[str, Any]], at: datetime) -> PlaceView:
    if one.person_id is None:
        return PlaceView(place=one.place, person=None, passed_over=None, until_at=one.until_at)
    told = people[one.person_id]
    absences = tuple(Absence.model_validate(each) for each in told["absences"])
    there = presence(Person(told["id"], told["name"], told["state"] == "active", absences), at)
    changes = [until for until in (one.until_at, there.until_at) if until is not None]
    contact = ContactView(**{name: told[name] for name in ContactView.model_fields})
    return PlaceView(
        place=one.place, person=contact, passed_over=there.passed_over, until_at=min(changes, default=None)
    )
