"""Rotas over HTTP: who of a team is on call, and at an instant."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from shared import clock
from shared.contracts.envelope import Code
from shared.http.auth import CauseDep, needs
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from shared.stated import Instant
from tickets.api.answers import page, record
from tickets.api.callers import router_of
from tickets.commands import rotas as commands
from tickets.documents import RotaFacts, RotaRecord
from tickets.queries import rotas
from tickets.queries.rotas import OnCallView, RotaView

router = router_of("rotas")

_ROTAS = Keyset("rotas", str)
Id = Annotated[Code, Path(examples=["analistas-kontar-guardia"])]


@router.get("/rotas", response_model=Page[RotaView], dependencies=[needs("team:read")])
async def list_rotas(
    connection: Reading,
    team: Annotated[Code | None, Query(description="a team's id")] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Rotas by id, those out of use too."""
    start: Any = _ROTAS.start(after)
    return page(_ROTAS, await rotas.list_rotas(connection, team=team, after=start, limit=limit + 1), limit)


@router.get("/rotas/{id}", response_model=RotaView, dependencies=[needs("team:read")])
async def get_rota(connection: Reading, id: Id) -> Response:
    """One rota with the people whom it names."""
    return record(*await rotas.view_rota(connection, id))


@router.put("/rotas/{id}", response_model=RotaView, dependencies=[needs("team:write")])
async def record_rota(tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: RotaFacts) -> Response:
    """Records who of a team is on call, whole. The same again changes nothing."""
    await commands.record_rotas(tx, cause, [RotaRecord(id=id, **facts.model_dump())], expected=expected)
    return record(*await rotas.view_rota(tx, id))


@router.get("/on-call", dependencies=[needs("team:read")])
async def tell_on_call(
    connection: Reading,
    team: Annotated[Code, Query(description="a team's id")],
    at: Annotated[Instant | None, Query(description="now when left out")] = None,
) -> OnCallView:
    """Who of a team would be called at an instant; whoever is away is passed over, and that is said."""
    return await rotas.tell_on_call(connection, team, at or clock.now())
