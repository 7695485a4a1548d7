"""Teams: level and target, lead and members, and what their patterns name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.teams import TeamTarget
from shared.errors import Invalid, NotFound
from tickets.domain.escalation import LEVEL_OF
from tickets.domain.routing import CALL_CENTRE, Pattern

_LEVEL_OF: Mapping[str, int] = {CALL_CENTRE: 1} | {str(target): level for target, level in LEVEL_OF.items()}


class NoSuchTeam(NotFound):
    """No team has this id."""

    code = "no-such-team"
    title = "There is no such team"


class LevelDoesNotFit(Invalid):
    """Each target is of one level, and a team without a target has none."""

    code = "level-does-not-fit"
    title = "The level is not that of the target"


class LeadIsNoMember(Invalid):
    """Whoever leads a team is one of it."""

    code = "lead-is-no-member"
    title = "The lead is not a member of the team"


class PatternNeverFits(Invalid):
    """No ticket can have these together."""

    code = "pattern-never-fits"
    title = "No ticket can have these together"


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A module as the replica has it; `client_id` when it was made for one client."""

    product_id: str
    client_id: str | None


def level_of(team_id: str, level: int | None, target: TeamTarget | None) -> int | None:
    """The level of a team: that of its target. Raises LevelDoesNotFit where another one was stated."""
    settled = _LEVEL_OF[target] if target is not None else None
    if level is not None and level != settled:
        raise LevelDoesNotFit(
            f"{team_id}: {target or 'a team without a target'} is of level {settled or 'none'}, not {level}: leave the "
            "level out, or correct the target"
        )
    return settled


def check_lead(team_id: str, lead: str | None, members: Sequence[str]) -> None:
    """Raises LeadIsNoMember."""
    if lead is not None and lead not in members:
        raise LeadIsNoMember(f"{team_id}: {lead} leads it and is no member: add them to the members, or name another")


def check_pattern(team_id: str, pattern: Pattern, module: ModuleFacts | None) -> None:
    """Checks that client, product and module of a pattern can be one ticket's. Raises PatternNeverFits."""
    if module is None:
        return
    for noun, named, owner in (
        ("product", pattern.product_id, module.product_id),
        ("client", pattern.client_id, module.client_id),
    ):
        if named is not None and owner is not None and named != owner:
            raise PatternNeverFits(
                f"{team_id}: the module {pattern.module_id} is of the {noun} {owner}, not of {named}: leave the {noun} "
                "out, or correct it"
            )
