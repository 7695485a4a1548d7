"""Reads teams: the list by name, one of them with its members, and which of them takes a ticket."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from shared.contracts.codes import written
from shared.contracts.teams import PersonState, TeamTarget
from shared.contracts.tickets import Groups, Level
from shared.db.statement import query, sql
from shared.db.transaction import Reader
from tickets.domain.routing import Pattern, route
from tickets.domain.team import NoSuchTeam
from tickets.queries.people import is_member
from tickets.queries.written import Named, Recorded, View, array_of, object_of
from tickets.repository.teams import coverages_of, covering


class MemberView(View):
    """Somebody of a team."""

    id: str
    name: str | None
    state: Annotated[str, written(PersonState)]


class PatternView(View):
    """What a team covers; null stands for everything."""

    client_id: str | None
    product_id: str | None
    module_id: str | None


class TeamView(Recorded):
    """A team: whose queue it is, who is in it, and what it covers."""

    id: str
    name: str
    level: Level | None
    target: Annotated[str, written(TeamTarget)] | None
    lead: MemberView | None
    members: list[MemberView]
    covers: list[PatternView]
    retired: bool


class OtherTeam(BaseModel):
    """A team that covers the ticket too, and why it does not take it."""

    team: Named
    covers: PatternView
    why: str


class RoutingView(BaseModel):
    """Which team takes a ticket, and why."""

    target: str
    groups: Groups = Field(description="as asked; the product that a module belongs to is filled in")
    team: Named
    covers: PatternView
    why: str
    instead_of: list[OtherTeam] = Field(description="whose pattern fits less well, the best first")


MEMBER = object_of(MemberView, "p")
_MEMBERS = "jsonb_array_elements_text(t.members) e (id) JOIN tickets.people p ON p.id = e.id"
_TEAM = object_of(
    TeamView,
    "t",
    lead=f"(SELECT {MEMBER} FROM tickets.people p WHERE p.id = t.lead)",
    members=array_of(MEMBER, "p.name_key, p.id", _MEMBERS),
)
_ONE = sql(f"SELECT t.version, {_TEAM}::text AS team FROM tickets.teams t WHERE t.id = :id")
_PAGE = f"""
SELECT t.name_key, t.id, {_TEAM}::text AS team
  FROM tickets.teams t
 WHERE {{conditions}}
 ORDER BY t.name_key, t.id LIMIT :limit
"""
_CONDITIONS = {
    "target": "t.target = :target",
    "member": is_member("t", "CAST(:member AS text)"),
    "retired": "t.retired = :retired",
}
_ROUTING = query(f"""
    SELECT {covering(":target", ":client", ":module")} AS coverages,
           (SELECT m.product_id FROM tickets.modules m WHERE m.id = :module) AS product,
           COALESCE((SELECT json_object_agg(t.id, t.name) FROM tickets.teams t), '{{}}') AS names
""")


async def list_teams(
    connection: Reader, *, after: tuple[str, str] | None, limit: int, **wanted: Any
) -> list[tuple[str, str, str]]:
    """At most `limit` teams as (name key, id, JSON), by name, that fit what is wanted of `target`, `member` and
    `retired`."""
    conditions = [_CONDITIONS[name] for name, value in wanted.items() if value is not None]
    values = {name: value for name, value in wanted.items() if value is not None}
    if after is not None:
        conditions.append("(t.name_key, t.id) > (:after_name, :after_id)")
        values |= {"after_name": after[0], "after_id": after[1]}
    statement = sql(_PAGE.format(conditions=" AND ".join(conditions) or "true"))
    return [(row.name_key, row.id, row.team) for row in await connection.fetch(statement, values | {"limit": limit})]


async def view_team(connection: Reader, id: str) -> tuple[int, str]:
    """Version and view of a team as JSON. Raises NoSuchTeam."""
    row = await connection.fetch_first(_ONE, {"id": id})
    if row is None:
        raise NoSuchTeam(f"there is no team {id}: look it up with GET /v1/teams")
    return row.version, row.team


async def explain_routing(connection: Reader, target: str, groups: Groups) -> RoutingView:
    """Which team takes a ticket of these groups, and why. Raises NoTeam."""
    asked = {"target": target, "client": groups.client_id, "module": groups.module_id}
    found = await connection.fetch_one(_ROUTING, asked)
    groups = groups.model_copy(update={"product_id": groups.product_id or found.product})
    routed = route(coverages_of(found.coverages), target, groups)

    def named(team_id: str) -> Named:
        return Named(id=team_id, name=found.names.get(team_id))

    return RoutingView(
        target=target,
        groups=groups,
        team=named(routed.team_id),
        covers=_shown(routed.pattern),
        why=routed.why(),
        instead_of=[
            OtherTeam(team=named(one.team_id), covers=_shown(one.pattern), why=routed.why_not(one))
            for one in routed.instead_of
        ],
    )


def _shown(pattern: Pattern) -> PatternView:
    return PatternView(client_id=pattern.client_id, product_id=pattern.product_id, module_id=pattern.module_id)
