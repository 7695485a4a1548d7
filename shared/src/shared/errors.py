"""Errors that say what is true, with a code; whoever stands at an edge translates them."""

from __future__ import annotations

from typing import Any, ClassVar


class DeskError(Exception):
    """Something that the caller can understand and act upon.

    `code` is stable and for machines (`ticket-already-closed`), `title` is the same for every occurrence, the message
    is about this one and says what to do. `extra` travels to the caller as members of its own.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "The request cannot be done"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


class NotFound(DeskError):
    """What was asked for does not exist."""

    code = "not-found"
    title = "Not found"


class Invalid(DeskError):
    """The request is well formed and makes no sense; changing it would help."""

    code = "invalid"
    title = "The request is not valid"


class Conflict(DeskError):
    """The present state does not allow it; looking again would help."""

    code = "conflict"
    title = "The present state does not allow this"


class Forbidden(DeskError):
    """The caller may not do this."""

    code = "forbidden"
    title = "Not permitted"


class Unauthenticated(DeskError):
    """The caller has not shown who it is; `scheme` names how it is shown here (RFC 9110, section 11.1)."""

    code = "unauthenticated"
    title = "Authentication is needed"
    scheme: ClassVar[str] = "Bearer"


class Unavailable(DeskError):
    """Something that this needs does not answer at present; the same request may succeed later."""

    code = "unavailable"
    title = "Temporarily unavailable"
