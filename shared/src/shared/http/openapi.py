"""What every operation's description has in common: token, permission, conditions, and the problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.http.idempotency import IDEMPOTENCY_KEY
from shared.http.preconditions import IF_MATCH, IF_NONE_MATCH
from shared.http.problems import MEDIA_TYPE
from shared.http.signatures import ID, SIGNATURE, TIMESTAMP, WINDOW_SECONDS

_REFERENCE = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

_DOCUMENTED = {
    400: "The body is not readable JSON.",
    401: "There is no bearer token, or it is not good.",
    403: "The caller's roles do not permit it.",
    404: "What was asked for does not exist.",
    405: "This address does not know that method.",
    408: "The body did not arrive in time.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
    415: "The body is compressed, or not declared as JSON.",
    422: "The request is readable and not valid; `errors` says what is wrong where.",
    500: "An error of this service; it was recorded under the correlation id.",
    503: "Something that this needs does not answer; see Retry-After.",
}

# What every address does, for the description of a service.
OF_EVERY_ADDRESS = (
    "Wherever GET is, HEAD is answered too, with the same headers and no body. A query parameter or a field that an "
    "address does not know is refused. Text must hold something that can be seen."
)

_OF_CONDITIONS = {
    412: "It is not at the version of If-Match; `version` and ETag say the present one.",
    428: "It exists, and If-Match is missing.",
}
_OF_KEYS = "The present state does not allow it, or this Idempotency-Key is being worked on: see Retry-After."
_OF_DELIVERIES = "The present state does not allow it, or this delivery is being worked on: see Retry-After."
_HMAC = {
    "type": "apiKey",
    "in": "header",
    "name": SIGNATURE,
    "description": "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`",
}
_TEXT = {"schema": {"type": "string"}}
_ETAG = {"description": "the version that this left, for If-Match", **_TEXT}

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _REFERENCE} for status, text in _DOCUMENTED.items()
}

_SIGNED_HEADERS = [
    {
        "name": ID,
        "in": "header",
        "required": True,
        "description": "yours, new for each delivery; one that comes again within 24 hours gets the first answer again",
        **_TEXT,
    },
    {
        "name": TIMESTAMP,
        "in": "header",
        "required": True,
        "description": f"seconds since 1970 at this attempt, at most {WINDOW_SECONDS} from now",
        "schema": {"type": "integer"},
    },
]

_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457. Further members depend on the code.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "additionalProperties": True,
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:desk:problem:not-found"]},
        "title": {"type": "string", "description": "the same for every problem of this code"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong this time and what to do"},
        "code": {"type": "string", "description": "stable, for machines", "examples": ["not-found"]},
        "instance": {"type": "string", "description": "this occurrence"},
        "correlation_id": {"type": "string", "description": "finds this request in the logs and in every event"},
        "retry_after_seconds": {"type": "integer"},
        "permission": {"type": "string", "description": "the one that is missing", "examples": ["ticket:open"]},
        "version": {"type": "integer", "description": "the present version, where another one was expected"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemOfInput"}},
    },
}
_PROBLEM_OF_INPUT = {
    "title": "ProblemOfInput",
    "type": "object",
    "required": ["in", "code", "message"],
    "properties": {
        "in": {"enum": ["body", "query", "path", "header"]},
        "pointer": {"type": "string", "description": "a JSON pointer within the body", "examples": ["#/client"]},
        "parameter": {"type": "string", "description": "the name of a parameter outside the body"},
        "code": {"type": "string"},
        "message": {"type": "string", "description": "what to do"},
    },
}


def complete(document: dict[str, Any], closed: Mapping[tuple[str, str], str | None]) -> dict[str, Any]:
    """Adds what the edge does; `closed` is the permission by path and method, None where a signature is asked for
    instead. Doing it again changes nothing."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update({"Problem": _PROBLEM, "ProblemOfInput": _PROBLEM_OF_INPUT})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["security"] = [{"bearer": []}]
    if None in closed.values():
        components["securitySchemes"]["hmac"] = _HMAC
    for (path, method), permission in closed.items():
        _complete_operation(document["paths"][path][method], permission)
    return document


def _complete_operation(operation: dict[str, Any], permission: str | None) -> None:
    if permission is None:
        _complete_signed(operation)
    else:
        operation["x-permission"] = permission
        _complete_permitted(operation, permission)


def _complete_signed(operation: dict[str, Any]) -> None:
    """The id of the delivery takes the place of the key, and nobody's roles are asked for."""
    operation["security"] = [{"hmac": []}]
    responses = operation["responses"]
    responses.pop("403", None)
    responses["401"] = {"description": "It is not signed by anybody known here, or not now.", "content": _REFERENCE}
    told = {parameter["name"] for parameter in operation.get("parameters", ())}
    if IDEMPOTENCY_KEY in told:
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != IDEMPOTENCY_KEY]
        responses["409"] = {"description": _OF_DELIVERIES, "content": _REFERENCE, "headers": {"Retry-After": _TEXT}}
    missing = [each for each in _SIGNED_HEADERS if each["name"] not in told]
    operation["parameters"] = [*operation.get("parameters", ()), *missing]


def _complete_permitted(operation: dict[str, Any], permission: str) -> None:
    for parameter in operation.get("parameters", ()):
        _forget_null(parameter["schema"])
    responses = operation["responses"]
    responses["403"] = {"description": f"The caller lacks the permission {permission}.", "content": _REFERENCE}
    headers = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "header"}
    if IF_MATCH in headers:
        headers[IF_MATCH]["required"] = IF_NONE_MATCH not in headers
        responses |= {
            str(status): {"description": text, "content": _REFERENCE} for status, text in _OF_CONDITIONS.items()
        }
    if IDEMPOTENCY_KEY in headers:
        responses["409"] = {"description": _OF_KEYS, "content": _REFERENCE, "headers": {"Retry-After": _TEXT}}
    if headers:
        done = next(each for status, each in responses.items() if status.startswith("2"))
        created = {"Location": {"description": "its address", **_TEXT}} if "201" in responses else {}
        done["headers"] = {"ETag": _ETAG, **created}


def _forget_null(schema: dict[str, Any]) -> None:
    """A parameter may be left out; no address and no header can say null."""
    told = [arm for arm in schema.get("anyOf", ()) if arm != {"type": "null"}]
    if len(told) == 1:
        del schema["anyOf"]
        schema.update(told[0])
