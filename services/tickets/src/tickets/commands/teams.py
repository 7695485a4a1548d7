"""What is recorded of teams: who is in them, and what they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from shared.contracts.envelope import Cause
from shared.contracts.teams import TeamTarget
from shared.db.transaction import Transaction
from shared.spelling import sort_key
from shared.versions import ANYTHING, Expected
from tickets.commands.records import publish_records
from tickets.documents import TeamRecord
from tickets.domain.grouping import UnknownReference
from tickets.domain.person import meant, unknown_person
from tickets.domain.routing import Pattern, check_defaults, cover
from tickets.domain.team import check_lead, check_pattern, level_of
from tickets.repository import locks, people
from tickets.repository import teams as repository
from tickets.repository.teams import Around


async def record_teams(
    tx: Transaction,
    cause: Cause,
    teams: Sequence[TeamRecord],
    *,
    expected: Expected = ANYTHING,
    ahead: bool = False,
) -> int:
    """Records teams together, so that one may take over what another covered; how many changed.

    `ahead`: a file may name clients, products and modules of which their owner has not told yet.
    Raises LevelDoesNotFit, LeadIsNoMember, UnknownPerson, UnknownReference, PatternNeverFits, PatternsWithoutQueue,
    TwoTeamsCoverTheSame, TargetWithoutDefault, VersionNotStated, VersionChanged.
    """
    await locks.lock_teams(tx)
    around = await repository.read_around_teams(tx, [each for one in teams for each in _patterns(one)])
    coverages = tuple(one for one in around.coverages if one.team_id not in {team.id for team in teams})
    for team in teams:
        check_lead(team.id, team.lead, team.members)
        for pattern in _patterns(team):
            if not ahead:
                await _check_known(tx, team.id, pattern, around)
            check_pattern(team.id, pattern, around.modules.get(pattern.module_id or ""))
        # A retired team takes no ticket, and keeps in its record what it covered.
        coverages = cover(coverages, team.id, team.target, () if team.retired else _patterns(team))
    await _check_members(tx, teams)
    check_defaults(get_args(TeamTarget), coverages)
    stored = await repository.store_teams(tx, cause, [_row(team) for team in teams])
    await repository.replace_coverages(tx, stored, coverages)
    return await publish_records(tx, cause, stored, repository.recorded, expected)


def _patterns(team: TeamRecord) -> tuple[Pattern, ...]:
    return tuple(Pattern(one.client_id, one.product_id, one.module_id) for one in team.covers)


def _row(team: TeamRecord) -> dict[str, object]:
    """A team as it is stored, in its one order."""
    covers = sorted(team.covers, key=lambda one: [value or "" for value in one.model_dump().values()])
    return {
        **team.model_dump(mode="json"),
        "name_key": sort_key(team.name),
        "level": level_of(team.id, team.level, team.target),
        "members": sorted(set(team.members)),
        "covers": [one.model_dump() for one in covers],
    }


async def _check_members(tx: Transaction, teams: Iterable[TeamRecord]) -> None:
    of_team = {member: team.id for team in teams for member in team.members}
    for unknown in await people.unknown_people(tx, of_team):
        raise unknown_person(of_team[unknown], unknown, await people.read_names(tx))


async def _check_known(tx: Transaction, team_id: str, pattern: Pattern, around: Around) -> None:
    for noun, named, known in (
        ("client", pattern.client_id, around.clients),
        ("product", pattern.product_id, around.products),
        ("module", pattern.module_id, around.modules),
    ):
        if named is not None and named not in known:
            names = await repository.read_names(tx, noun)
            raise UnknownReference(
                f"{team_id}: there is no {noun} {named}{meant(named, names)}. Correct it, or record it in inventory",
                field=f"{noun}_id",
            )
