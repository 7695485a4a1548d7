"""Who calls and what that permits: `Caller`, `CauseDep`, and `needs(...)`, which every route declares.

The edge has verified the token before any route runs.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.params import Depends as Dependency
from starlette.requests import Request

from shared import clock
from shared.contracts.envelope import Cause
from shared.errors import Forbidden, Unauthenticated
from shared.http.context import Actor, RequestContext, context_of
from shared.http.parameters import refuse_unknown_parameters
from shared.http.permissions import Permission
from shared.http.tokens import Authenticator

__all__ = [
    "Actor", "Authenticator", "Caller", "CauseDep", "PermissionMissing", "caller_of", "cause_of", "needed", "needs",
]  # fmt: skip


class PermissionMissing(Forbidden):
    """None of the caller's roles gives the permission that this needs; `permission` travels with it."""

    code = "permission-missing"
    title = "A permission is missing"


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


class Need:
    """Lets a request pass whose caller has one permission, and that asks for nothing that its route does not know."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> None:
        """Raises PermissionMissing, Unauthenticated where the edge let it pass without an actor, and then
        RequestValidationError for parameters that are not known. Every route declares one, so none escapes.
        """
        if not _identified(request)[1].may(self.permission):
            raise PermissionMissing(
                f"This needs the permission {self.permission}, which none of your roles gives: ask whoever hands out "
                "roles, or somebody who has it.",
                permission=self.permission,
            )
        refuse_unknown_parameters(request)


def needs(permission: Permission) -> Any:
    """The declaration of a route: `@router.get(..., dependencies=[needs("ticket:read")])`. It is asked before all else.

    An application does not start with a route that declares none.
    """
    return Depends(Need(permission))


def needed(dependencies: Iterable[Dependency]) -> Permission | None:
    """The permission that these dependencies of a route declare; None when they declare none."""
    return next((each.dependency.permission for each in dependencies if isinstance(each.dependency, Need)), None)


def _identified(request: Request) -> tuple[RequestContext, Actor]:
    context = context_of(request.scope)
    if context is None or context.actor is None:
        raise Unauthenticated("Send a bearer token in the Authorization header.")
    return context, context.actor
