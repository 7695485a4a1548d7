"""What is recorded of rotas: who of a team is on call."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.versions import ANYTHING, Expected
from tickets.commands.records import publish_records
from tickets.documents import RotaRecord
from tickets.domain.grouping import UnknownReference
from tickets.domain.person import meant, unknown_person
from tickets.domain.rota import Rota, TeamHasRota, checked, people_of
from tickets.repository import locks, people
from tickets.repository import rotas as repository
from tickets.repository.rotas import Around


async def record_rotas(
    tx: Transaction, cause: Cause, rotas: Sequence[RotaRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records rotas; how many changed.

    Raises RotaMakesNoSense, UnknownReference for a team that there is not or is retired, TeamHasRota, UnknownPerson,
    VersionNotStated, VersionChanged.
    """
    await locks.lock_teams(tx)
    around = await repository.read_around_rotas(tx)
    told = {one.id: checked(_rota(one)) for one in rotas}
    in_use = {rota: team for rota, team in around.rotas.items() if rota not in told}
    for one in rotas:
        # A rota that is retired with its team says nothing any more.
        if not one.retired:
            _check_team(one, around)
            _check_only_one(one, in_use)
            in_use[one.id] = one.team_id
    await _check_people(tx, told)
    stored = await repository.store_rotas(tx, cause, [(one.id, told[one.id], one.retired) for one in rotas])
    return await publish_records(tx, cause, stored, repository.recorded, expected)


def _rota(record: RotaRecord) -> Rota:
    written = record.model_dump()
    return repository.rota_of(record.team_id, record.zone, written["shifts"], written["overrides"])


def _check_team(record: RotaRecord, around: Around) -> None:
    if record.team_id not in around.teams:
        raise UnknownReference(
            f"{record.id}: there is no team {record.team_id}, or it is retired{meant(record.team_id, around.teams)}",
            field="team_id",
        )


def _check_only_one(record: RotaRecord, in_use: dict[str, str]) -> None:
    other = next((rota for rota, team in in_use.items() if team == record.team_id), None)
    if other is not None:
        raise TeamHasRota(f"{record.team_id} has the rota {other}: change that one, or retire it first", rota=other)


async def _check_people(tx: Transaction, rotas: dict[str, Rota]) -> None:
    named = {person: of for of, rota in rotas.items() for person in people_of(rota)}
    for unknown in await people.unknown_people(tx, named):
        raise unknown_person(named[unknown], unknown, await people.read_names(tx))
