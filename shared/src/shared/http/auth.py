"""How a door knows its caller, and what that permits: `needs(...)` or `signed(...)`, one of which every route declares.

The edge has verified the token or the signature before any route runs. A further kind (the session of a web page) is a
further declaration here and a further step of `Edge._admit`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from fastapi import Depends
from fastapi.params import Depends as Dependency
from starlette.requests import Request

from shared import clock
from shared.contracts.envelope import Cause
from shared.errors import Forbidden, Invalid, Unauthenticated
from shared.http.context import Actor, RequestContext, context_of
from shared.http.parameters import refuse_unknown_parameters
from shared.http.permissions import Permission
from shared.http.signatures import HmacVerifier, NotSigned
from shared.http.tokens import Authenticator

__all__ = [
    "Actor", "Authenticator", "Caller", "CauseDep", "Known", "PermissionMissing", "caller_of", "cause_of",
    "declared_by", "needs", "signed",
]  # fmt: skip


# How a door knows its caller: not at all, by a token of the issuer, or by a signature over the raw body.
Known = Literal["open", "bearer", "hmac"]


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

    known: ClassVar[Known] = "bearer"

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> None:
        """Raises PermissionMissing, Unauthenticated where the edge let it pass without an actor, and then
        RequestValidationError for parameters that are not known. Every route declares one, so none escapes.
        """
        context, actor = _identified(request)
        if context.delivery is not None:
            # The edge took it for another door that has the same address.
            raise Unauthenticated("Send a bearer token in the Authorization header.")
        if not actor.may(self.permission):
            raise PermissionMissing(
                f"This needs the permission {self.permission}, which none of your roles gives: ask whoever hands out "
                "roles, or somebody who has it.",
                permission=self.permission,
            )
        refuse_unknown_parameters(request)


def needs(permission: Permission) -> Any:
    """The declaration of a route for people and systems with a token: `dependencies=[needs("ticket:read")]`. It is
    asked before all else.
    """
    return Depends(Need(permission))


class Signature:
    """Lets a request pass that its sender signed for this very door. Who may sign may do what the door does."""

    known: ClassVar[Known] = "hmac"

    def __init__(self, verifier: HmacVerifier) -> None:
        self.verifier = verifier

    async def __call__(self, request: Request) -> None:
        """Raises NotSigned where the edge did not verify it with this verifier, and Invalid for a query."""
        context = context_of(request.scope)
        if context is None or context.delivery is None or context.delivery.verifier is not self.verifier:
            raise NotSigned("Sign the delivery as Standard Webhooks describes it.")
        if request.scope["query_string"]:
            raise Invalid("Leave the query out of the address: it is not signed, so nothing reads it.")


def signed(verifier: HmacVerifier) -> Any:
    """The declaration of a route for machines that sign what they send: `dependencies=[signed(verifier)]`.

    A POST takes `Idempotency` too, whose key is then the id of the delivery: one that comes again is done once.
    """
    return Depends(Signature(verifier))


def declared_by(dependencies: Iterable[Dependency]) -> list[Need | Signature]:
    """How these dependencies of a route know the caller: one is right, an application starts with no other number."""
    return [each.dependency for each in dependencies if isinstance(each.dependency, Need | Signature)]


def _identified(request: Request) -> tuple[RequestContext, Actor]:
    context = context_of(request.scope)
    if context is None or context.actor is None:
        raise Unauthenticated("Send a bearer token in the Authorization header.")
    return context, context.actor
