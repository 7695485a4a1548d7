"""Who calls, as routes see it: `Caller` and `CauseDep`; the edge has verified the token before any route runs."""

# What a role permits comes here as a dependency of its own (`Depends(permits("ticket:open"))`), beside `caller_of`.

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from shared import clock
from shared.contracts.envelope import Cause
from shared.errors import Unauthenticated
from shared.http.context import Actor, RequestContext, context_of
from shared.http.tokens import Authenticator

__all__ = ["Actor", "Authenticator", "Caller", "CauseDep", "caller_of", "cause_of"]


async def caller_of(request: Request) -> Actor:
    """The verified actor of this request. Raises Unauthenticated where the edge let it pass without one."""
    return _identified(request)[1]


async def cause_of(request: Request) -> Cause:
    """The cause of whatever this request does: actor, one reading of the clock, correlation id, trace."""
    context, actor = _identified(request)
    now = clock.now()
    return Cause(
        actor=actor.id,
        occurred_at=now,
        recorded_at=now,
        correlation_id=context.correlation_id,
        traceparent=context.traceparent,
    )


Caller = Annotated[Actor, Depends(caller_of)]
CauseDep = Annotated[Cause, Depends(cause_of)]


def _identified(request: Request) -> tuple[RequestContext, Actor]:
    context = context_of(request.scope)
    if context is None or context.actor is None:
        raise Unauthenticated("Send a bearer token in the Authorization header.")
    return context, context.actor
