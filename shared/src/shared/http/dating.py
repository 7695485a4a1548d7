"""A body that may say when it happened: somebody who could not write it down at once does so later."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from shared.contracts.envelope import Cause
from shared.http.limits import Clean
from shared.instants import dated
from shared.stated import Instant


class Dated(BaseModel):
    """Gives a command's body `occurred_at`; the route hands `body.dated(cause)` to the command instead of `cause`."""

    occurred_at: Instant | None = Field(
        default=None,
        description="when it happened; now when left out. Not in the future and not before what it happened to",
        examples=["2026-11-02T14:03:00-03:00"],
    )
    occurred_late_reason: Annotated[str, Clean(max_length=1000)] | None = Field(
        default=None,
        description="needed when it happened more than 15 minutes ago",
        examples=["Sin conexión en el cliente: lo anoto al volver."],
    )

    def dated(self, cause: Cause) -> Cause:
        """The cause as of when it happened. Raises OccurredInTheFuture and DatedReasonMissing."""
        return dated(cause, self.occurred_at, self.occurred_late_reason)
