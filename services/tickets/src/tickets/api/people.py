"""People over HTTP: who works here, what an admin says of them, and what everybody says of themselves."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.teams import PersonState
from shared.http.auth import Caller, CauseDep, needs
from shared.http.limits import NO_NUL
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.permissions import Role
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from tickets.api.answers import page, record
from tickets.api.callers import router_of
from tickets.commands import people as commands
from tickets.documents import OwnFacts, PersonFacts
from tickets.queries import people
from tickets.queries.people import PersonView

router = router_of("people")

_PEOPLE = Keyset("people", str, str)
Id = Annotated[PersonId, Path()]
Search = Annotated[
    str | None,
    Query(
        max_length=100, description="words of a name, an id or an address, in any spelling", json_schema_extra=NO_NUL
    ),
]


@router.get("/people", response_model=Page[PersonView], dependencies=[needs("team:read")])
async def list_people(
    connection: Reading,
    q: Search = None,
    team: Annotated[Code | None, Query(description="a team's id: its members")] = None,
    role: Annotated[Role | None, Query()] = None,
    state: Annotated[PersonState | None, Query()] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """People by name. Somebody appears by themselves with the first valid token."""
    start: Any = _PEOPLE.start(after)
    rows = await people.list_people(connection, q=q, team=team, role=role, state=state, after=start, limit=limit + 1)
    return page(_PEOPLE, rows, limit)


@router.get("/people/{id}", response_model=PersonView, dependencies=[needs("team:read")])
async def get_person(connection: Reading, id: Id) -> Response:
    """One person."""
    return record(*await people.view_person(connection, id))


@router.put("/people/{id}", response_model=PersonView, dependencies=[needs("team:write")])
async def complete_person(tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: PersonFacts) -> Response:
    """Records everything of somebody but name and roles, which their token says. The same again changes nothing."""
    await commands.complete_person(tx, cause, id, facts, expected=expected)
    return record(*await people.view_person(tx, id))


@router.get("/me", response_model=PersonView, dependencies=[needs("team:read")])
async def get_me(connection: Reading, caller: Caller) -> Response:
    """Whoever asks."""
    return record(*await people.view_person(connection, caller.id))


@router.put("/me", response_model=PersonView, dependencies=[needs("team:read")])
async def complete_me(tx: Tx, cause: CauseDep, expected: IfMatchOrNew, caller: Caller, facts: OwnFacts) -> Response:
    """Records what everybody says of themselves: how to be reached, the language, when they are away."""
    await commands.complete_person(tx, cause, caller.id, facts, expected=expected)
    return record(*await people.view_person(tx, caller.id))
