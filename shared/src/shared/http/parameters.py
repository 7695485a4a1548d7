"""Query parameters that an address does not know: a mistake in a filter must not look like an answer to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request


def refuse_unknown_parameters(request: Request) -> None:
    """Raises RequestValidationError with an error for each name in the query that the route declares nowhere."""
    if not request.scope["query_string"]:
        return
    known = set(_declared_by(request.scope["route"].dependant))
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        told = {"known": ", ".join(sorted(known))}
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name), "ctx": told} for name in unknown]
        )


def _declared_by(dependant: Any) -> Iterator[str]:
    """The names of the parameters that a route, or anything it depends on, takes from the query."""
    for field in dependant.query_params:
        yield field.alias
    for each in dependant.dependencies:
        yield from _declared_by(each)
