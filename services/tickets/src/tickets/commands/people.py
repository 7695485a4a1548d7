"""What is recorded of people: by their tokens, by themselves, by an admin, from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.envelope import Cause, instant
from shared.contracts.teams import Absence
from shared.db.transaction import Transaction
from shared.versions import ANYTHING, Expected
from tickets.commands.records import publish_records
from tickets.documents import OwnFacts, PersonRecord
from tickets.domain.person import check_absences
from tickets.repository import people as repository


async def meet_person(tx: Transaction, cause: Cause, id: str, *, name: str | None, roles: Sequence[str]) -> bool:
    """Records what a token says of somebody; whether that was new. A token without a name leaves the name alone."""
    told: dict[str, Any] = {"id": id, "roles": sorted(roles)}
    if name is not None:
        told["name"] = name
    stored = await repository.store_people(tx, cause, [told])
    return await publish_records(tx, cause, stored, repository.recorded, ANYTHING) == 1


async def complete_person(
    tx: Transaction, cause: Cause, id: str, facts: OwnFacts, *, expected: Expected = ANYTHING
) -> bool:
    """Records what is said of somebody beside their token, who need not have shown one yet; whether anything changed.

    Raises AbsenceMakesNoSense, VersionNotStated, VersionChanged.
    """
    stored = await repository.store_people(tx, cause, [{"id": id, **_told(facts)}])
    return await publish_records(tx, cause, stored, repository.recorded, expected) == 1


async def record_people(tx: Transaction, cause: Cause, people: Sequence[PersonRecord]) -> int:
    """Records people whom a file names, with name and roles; how many changed. Raises AbsenceMakesNoSense."""
    stored = await repository.store_people(
        tx, cause, [{**_told(one), "roles": sorted(set(one.roles))} for one in people]
    )
    return await publish_records(tx, cause, stored, repository.recorded, ANYTHING)


def _told(facts: OwnFacts) -> dict[str, Any]:
    absences = check_absences(Absence(**one.model_dump()) for one in facts.absences)
    return facts.model_dump(mode="json") | {
        "absences": [
            {"from_at": instant(one.from_at), "until_at": instant(one.until_at), "why": one.why} for one in absences
        ]
    }
