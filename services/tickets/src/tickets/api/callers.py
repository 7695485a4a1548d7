"""Who calls is known: a person appears with the first valid token, before their request goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from shared.contracts.envelope import Cause
from shared.db.failures import DatabaseFailure
from shared.http.auth import Actor, caller_of, cause_of
from shared.http.permissions import ROLES
from shared.http.transaction import beside
from shared.stated import Line
from shared.telemetry.logs import get_logger
from tickets.commands.people import meet_person

# So long a request waits for it, and after a failure nobody waits for so long: a database in trouble has them wait for
# what they asked, and for nothing else.
PATIENCE_SECONDS = 0.5
REST_SECONDS = 5.0
_MOST_REMEMBERED = 10_000

log = get_logger(__name__)
_line: TypeAdapter[str] = TypeAdapter(Line)


@dataclass(slots=True)
class Acquaintances:
    """Whom this process has met, as their tokens said, and whom it is meeting."""

    met: dict[Actor, None] = field(default_factory=dict)
    meeting: dict[Actor, asyncio.Task[None]] = field(default_factory=dict)
    rests_until: float = 0.0

    def remember(self, actor: Actor) -> None:
        """Keeps the latest; whoever is forgotten is met again, which changes nothing."""
        while len(self.met) >= _MOST_REMEMBERED:
            del self.met[next(iter(self.met))]
        self.met[actor] = None


async def meet_caller(request: Request) -> None:
    """Records whoever calls as their token describes them: once per process, name and roles."""
    actor = await caller_of(request)
    known = _acquaintances(request.app)
    now = asyncio.get_running_loop().time()
    if actor in known.met or now < known.rests_until:
        return
    # Requests of one person that come together wait for one transaction.
    task = known.meeting.get(actor)
    if task is None:
        task = asyncio.create_task(_meet(request.app, known, actor, await cause_of(request)))
        known.meeting[actor] = task
        task.add_done_callback(lambda _: known.meeting.pop(actor, None))
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if done:
        task.result()
    else:
        known.rests_until = now + PATIENCE_SECONDS + REST_SECONDS


def router_of(tag: str) -> APIRouter:
    """A router of this service, at whose doors whoever calls becomes known."""
    return APIRouter(prefix="/v1", tags=[tag], dependencies=[Depends(meet_caller)])


async def _meet(app: Any, known: Acquaintances, actor: Actor, cause: Cause) -> None:
    try:
        async with beside(app) as tx:
            roles = [role for role in ROLES if role in actor.roles]
            await meet_person(tx, cause, actor.id, name=_name_of(actor), roles=roles)
    except DatabaseFailure as error:
        known.rests_until = asyncio.get_running_loop().time() + REST_SECONDS
        log.warning("somebody could not be recorded; they are with a later request", reason=error)
    else:
        known.remember(actor)


def _name_of(actor: Actor) -> str | None:
    """The name of a token that says one which can be shown; a token without one has the id in its place."""
    try:
        return _line.validate_python(actor.name) if actor.name != actor.id else None
    except ValidationError:
        return None


def _acquaintances(app: Any) -> Acquaintances:
    if not hasattr(app.state, "acquaintances"):
        app.state.acquaintances = Acquaintances()
    found: Acquaintances = app.state.acquaintances
    return found
