"""Routing: which team takes a ticket, by what it covers; and why this one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.tickets import Groups
from shared.errors import Conflict, Invalid, Unavailable

# What a ticket is handed to. The call centre has it before anybody has escalated it.
CALL_CENTRE = "call-centre"


class TwoTeamsCoverTheSame(Conflict):
    """Of two equal patterns nobody could say which team is meant; `pattern` and `team` travel with it."""

    code = "two-teams-cover-the-same"
    title = "Another team covers exactly this"


class TargetWithoutDefault(Conflict):
    """A target whose last team that covers everything goes away would leave tickets in nobody's queue."""

    code = "target-without-default"
    title = "Some team must cover everything that is left"


class NoTeam(Unavailable):
    """The defaults were never loaded, or are gone: nobody covers everything for a target."""

    code = "no-team"
    title = "No team takes tickets of this target"


class PatternsWithoutQueue(Invalid):
    """A team without a target has no queue, so it covers nothing."""

    code = "patterns-without-queue"
    title = "A team without a queue covers nothing"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a team covers; None stands for everything in its place."""

    client_id: str | None = None
    product_id: str | None = None
    module_id: str | None = None

    def fits(self, groups: Groups) -> bool:
        """Whether a ticket of these groups is meant. What nobody could say is only covered by everything."""
        said = (
            (self.client_id, groups.client_id),
            (self.product_id, groups.product_id),
            (self.module_id, groups.module_id),
        )
        return all(wanted is None or wanted == found for wanted, found in said)

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """How specific it is: a client says more than a module, a module more than its product."""
        return (self.client_id is not None, self.module_id is not None, self.product_id is not None)

    def __str__(self) -> str:
        said = (("client", self.client_id), ("product", self.product_id), ("module", self.module_id))
        return ", ".join(f"{name} {value}" for name, value in said if value is not None) or "everything"


EVERYTHING = Pattern()


@dataclass(frozen=True, slots=True)
class Coverage:
    """One pattern of one team that is in use."""

    team_id: str
    target: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Routed:
    """The team that takes a ticket, the pattern by which it does, and those that fit less well, the best first."""

    team_id: str
    pattern: Pattern
    instead_of: tuple[Coverage, ...] = ()

    def why(self) -> str:
        """In words."""
        if self.pattern == EVERYTHING:
            return f"{self.team_id} covers everything, and nobody covers anything of this in particular"
        if not self.instead_of:
            return f"{self.team_id} covers {self.pattern}, and nobody else covers it"
        return f"{self.team_id} covers {self.pattern}, which is the most specific: {_ORDER}"

    def why_not(self, other: Coverage) -> str:
        """Why one of the others does not take it, in words."""
        return f"{other.team_id} covers {other.pattern}, which says less than {self.pattern}"


_ORDER = "a client counts before a module, a module before a product"


def route(coverages: Iterable[Coverage], target: str, groups: Groups) -> Routed:
    """The team with the most specific pattern that fits. Raises NoTeam where nobody covers everything for it."""
    fitting = [one for one in coverages if one.target == target and one.pattern.fits(groups)]
    if not fitting:
        raise NoTeam(f"no team covers {target}: run `migrate`, which loads the default teams, or record one")
    # Two of one weight that fit the same ticket are the same pattern, and of those there is one: see `cover`.
    best, *others = sorted(fitting, key=lambda one: one.pattern.weight, reverse=True)
    return Routed(best.team_id, best.pattern, tuple(others))


def cover(
    coverages: Iterable[Coverage], team_id: str, target: str | None, patterns: Sequence[Pattern]
) -> tuple[Coverage, ...]:
    """What is covered when a team covers these and nothing else.

    Raises PatternsWithoutQueue, and TwoTeamsCoverTheSame for a pattern that is there twice.
    """
    rest = tuple(one for one in coverages if one.team_id != team_id)
    if target is None:
        if patterns:
            raise PatternsWithoutQueue(f"{team_id} has no target: give it one, or take its patterns away")
        return rest
    taken = {one.pattern: one.team_id for one in rest if one.target == target}
    own: list[Coverage] = []
    for pattern in patterns:
        if pattern in taken:
            raise TwoTeamsCoverTheSame(
                f"{taken[pattern]} covers {pattern} for {target} already: say it once, be more specific, or hand it "
                "from one team to another in one file with `python -m tickets load FILE`",
                pattern=str(pattern),
                team=taken[pattern],
            )
        taken[pattern] = team_id
        own.append(Coverage(team_id, target, pattern))
    return (*rest, *own)


def check_defaults(targets: Iterable[str], coverages: Iterable[Coverage]) -> None:
    """Checks that each target has a team that covers everything. Raises TargetWithoutDefault."""
    covered = {one.target for one in coverages if one.pattern == EVERYTHING}
    for target in targets:
        if target not in covered:
            raise TargetWithoutDefault(
                f"nobody would cover everything for {target}, so some ticket would be in nobody's queue: hand it from "
                "one team to another in one file with `python -m tickets load FILE`",
                target=target,
            )
