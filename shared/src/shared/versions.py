"""What a caller believes of the version of what it changes, and what it is told when that is no longer so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import DeskError


class VersionNotStated(DeskError):
    """Whoever changes something that exists must say which version of it they have seen."""

    code = "version-not-stated"
    title = "Say which version is to be changed"


class VersionChanged(DeskError):
    """It is not what the caller has seen; `version` is the present one, 0 where there is nothing."""

    code = "version-changed"
    title = "It was changed meanwhile"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a change is meant for: these versions (None: any) of what exists, and whether it `may_be_new`.

    `stated` is False for a caller who said nothing.
    """

    versions: frozenset[int] | None = None
    may_be_new: bool = True
    stated: bool = True

    @property
    def newest(self) -> int:
        """The newest version that the caller has seen; 0 for none."""
        return max(self.versions or (), default=0)

    def is_met(self, present: int) -> bool:
        """Whether the present version is expected; 0 is what does not exist."""
        if present == 0:
            return self.may_be_new
        return self.versions is None or present in self.versions

    def check(self, what: str, present: int, **told: Any) -> None:
        """Raises VersionNotStated or VersionChanged unless `present` is expected; `told` travels with the latter."""
        if self.is_met(present):
            return
        if not self.stated:
            raise VersionNotStated(
                f"{what} exists, so say in If-Match which version of it you have seen.", version=present
            )
        now = f"{what} is at version {present} now" if present else f"{what} does not exist"
        raise VersionChanged(f"{now}: look at it again, then decide.", version=present, **told)

    async def require(self, what: str, present: int, since: Callable[[], Awaitable[list[dict[str, Any]]]]) -> None:
        """As `check`; `since` tells what was changed after `newest` and is only asked for whoever has to be told."""
        if not self.is_met(present):
            self.check(what, present, since=await since() if self.stated else [])


# For whoever has no version in hand: files, jobs, reactions.
ANYTHING = Expected()
