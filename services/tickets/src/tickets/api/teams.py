"""Teams over HTTP: who is in them, what they cover, and which of them takes a ticket."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.teams import TeamTarget
from shared.contracts.tickets import Groups
from shared.http.auth import CauseDep, needs
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from tickets.api.answers import page, record
from tickets.api.callers import router_of
from tickets.commands import teams as commands
from tickets.documents import TeamFacts, TeamRecord
from tickets.queries import teams
from tickets.queries.teams import RoutingView, TeamView

router = router_of("teams")

_TEAMS = Keyset("teams", str, str)
Id = Annotated[Code, Path(examples=["analistas"])]


@router.get("/teams", response_model=Page[TeamView], dependencies=[needs("team:read")])
async def list_teams(
    connection: Reading,
    target: Annotated[TeamTarget | None, Query(description="what they are asked for")] = None,
    member: Annotated[PersonId | None, Query(description="somebody's id: the teams that they are in")] = None,
    retired: Annotated[bool | None, Query(description="only those out of use, or only those in use")] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Teams by name, those out of use too."""
    start: Any = _TEAMS.start(after)
    wanted = {"target": target, "member": member, "retired": retired}
    return page(_TEAMS, await teams.list_teams(connection, after=start, limit=limit + 1, **wanted), limit)


@router.get("/teams/{id}", response_model=TeamView, dependencies=[needs("team:read")])
async def get_team(connection: Reading, id: Id) -> Response:
    """One team with its members."""
    return record(*await teams.view_team(connection, id))


@router.put("/teams/{id}", response_model=TeamView, dependencies=[needs("team:write")])
async def record_team(tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: TeamFacts) -> Response:
    """Records what is now said of a team. Two teams of one target cannot cover the same, and one covers the rest."""
    await commands.record_teams(tx, cause, [TeamRecord(id=id, **facts.model_dump())], expected=expected)
    return record(*await teams.view_team(tx, id))


@router.get("/routing", dependencies=[needs("team:read")])
async def explain_routing(
    connection: Reading,
    client: Annotated[Code | None, Query(description="a client's id")] = None,
    product: Annotated[Code | None, Query(description="a product's id")] = None,
    module: Annotated[Code | None, Query(description="a module's id")] = None,
    target: Annotated[TeamTarget, Query(description="the call centre has what nobody has escalated")] = "call-centre",
) -> RoutingView:
    """Which team takes a ticket of these groups, and why this one."""
    groups = Groups(client_id=client, product_id=product, module_id=module)
    return await teams.explain_routing(connection, target, groups)
