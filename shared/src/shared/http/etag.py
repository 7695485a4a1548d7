"""The ETag of a resource from its version."""

from __future__ import annotations

from starlette.responses import Response


def etag_of(version: int) -> str:
    """The strong entity tag of a version, with its quotes (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


def etag(response: Response, version: int) -> None:
    """Sets the ETag header of an answer."""
    response.headers["etag"] = etag_of(version)
