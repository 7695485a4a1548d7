"""Every error of the edge as problem+json (RFC 9457): one shape, a stable code, and what to do."""

# fastapi-problem is not used: it puts str(exception) of an unexpected error into the answer, and its answer to an
# invalid request repeats the input, which may be personal data.
from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Conflict, DeskError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from shared.http.context import context_of
from shared.http.etag import etag_of
from shared.http.validation import problems_of_input
from shared.versions import VersionChanged, VersionNotStated

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "retry_after_seconds"
_RETRY_SECONDS = 2

_STATUS: dict[type[DeskError], int] = {
    NotFound: 404,
    Invalid: 422,
    Conflict: 409,
    Forbidden: 403,
    Unauthenticated: 401,
    Unavailable: 503,
    VersionChanged: 412,
    VersionNotStated: 428,
    DeskError: 422,
}
# What the framework itself refuses: code, title, what to do.
_REFUSALS: dict[int, tuple[str, str, str]] = {
    400: ("unreadable-body", "The body cannot be read", "Send one JSON document in UTF-8."),
    404: ("no-such-route", "There is nothing at this address", "See /openapi.json for what there is."),
    405: ("method-not-allowed", "This address does not know that method", "See the Allow header."),
}


class BodyTooLarge(DeskError):
    """The body is larger than what this address accepts."""

    code = "body-too-large"
    title = "The body is too large"


class BodyTooSlow(DeskError):
    """The body did not arrive in time."""

    code = "body-too-slow"
    title = "The body did not arrive in time"


class UnreadableBody(DeskError):
    """The body is not one JSON document that everybody reads alike."""

    code, title = "unreadable-body", "The body cannot be read"


class BodyEncoded(DeskError):
    """The body is compressed: what a few bytes unfold to would escape the limit of its size."""

    code = "body-encoded"
    title = "The body is not sent as it is"


class BodyNotJson(DeskError):
    """The body is of another media type than the one that is read here, or does not say which."""

    code, title = "body-not-json", "The body is not declared as JSON"


_STATUS |= {BodyTooLarge: 413, BodyTooSlow: 408, UnreadableBody: 400, BodyEncoded: 415, BodyNotJson: 415}
# What a 415 would have taken (RFC 9110, section 15.5.16).
_TAKEN: dict[type[DeskError], dict[str, str]] = {
    BodyEncoded: {"accept-encoding": "identity"},
    BodyNotJson: {"accept": "application/json"},
}


@dataclass(slots=True)
class Problem:
    """One answer that is not what the caller hoped for."""

    status: int
    code: str
    title: str
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, scope: Any) -> Response:
        """The answer to the request of this scope; the code goes into its access line."""
        context = context_of(scope)
        members: dict[str, Any] = dict(self.extra)
        members |= {"type": f"urn:desk:problem:{self.code}", "title": self.title, "status": self.status}
        members |= {"detail": self.detail, "code": self.code}
        if context is not None:
            context.problem = self.code
            members |= {
                "instance": f"urn:desk:request:{context.correlation_id}",
                "correlation_id": context.correlation_id,
            }
        body = to_json(members, fallback=str, inf_nan_mode="null")
        return Response(body, self.status, {"cache-control": "no-store", **self.headers}, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What the caller is told about an error. Of an unexpected one nothing: it is in the log, by correlation id."""
    if isinstance(error, DeskError):
        return _problem_of_desk_error(error)
    if isinstance(error, RequestValidationError):
        return _problem_of_request(error)
    if isinstance(error, HTTPException):
        return _problem_of_refusal(error)
    return Problem(
        500,
        "internal-error",
        "Something went wrong here",
        "The error was recorded. When it stays, tell whoever runs this service the correlation id.",
    )


async def answer_problem(request: Request, error: Exception) -> Response:
    """The exception handler of the application for every error that it expects."""
    return problem_of(error).response(request.scope)


def _problem_of_desk_error(error: DeskError) -> Problem:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    headers = dict(_TAKEN.get(type(error), {}))
    problem = Problem(status, error.code, error.title, error.message, dict(error.extra), headers)
    if isinstance(error, Unauthenticated):
        reason = "invalid_token" if error.extra.get("presented") else None
        problem.extra.pop("presented", None)
        problem.headers["www-authenticate"] = _challenge(reason, error.message, error.scheme)
    if present := error.extra.get("version") if isinstance(error, VersionChanged | VersionNotStated) else None:
        problem.headers["etag"] = etag_of(present)
    retry = error.extra.get(RETRY_AFTER, _RETRY_SECONDS if status == 503 else None)
    if retry is not None:
        problem.headers["retry-after"] = str(retry)
    return problem


def _challenge(reason: str | None, message: str, scheme: str) -> str:
    """The WWW-Authenticate header (RFC 6750, section 3): without an error code when no token was presented."""
    if reason is None:
        return f'{scheme} realm="psa-desk"'
    told = "".join(letter for letter in message if letter.isascii() and letter.isprintable() and letter not in '"\\')
    return f'{scheme} realm="psa-desk", error="{reason}", error_description="{told}"'


def _problem_of_request(error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(each.get("type") == "json_invalid" for each in found):
        return _problem_of_refusal(HTTPException(400))
    errors = problems_of_input(found)
    detail = "One field is not valid." if len(found) == 1 else f"{len(found)} fields are not valid."
    return Problem(422, "invalid-request", Invalid.title, f"{detail} See errors for each of them.", {"errors": errors})


def _problem_of_refusal(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    known = _REFUSALS.get(error.status_code)
    if known is not None:
        return Problem(error.status_code, *known, headers=headers)
    phrase = HTTPStatus(error.status_code).phrase
    return Problem(error.status_code, phrase.lower().replace(" ", "-"), phrase, str(error.detail), headers=headers)
