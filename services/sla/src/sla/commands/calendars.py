"""What is recorded of calendars: a draft is written and filled, its years are confirmed, and then it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.instants import under_lock
from shared.messaging.outbox import publish, seal
from shared.versions import ANYTHING, Expected
from sla.documents import CalendarFacts, CalendarRecord
from sla.domain.calendar import (
    CalendarVersion,
    NoSuchCalendar,
    NoSuchCalendarVersion,
    NoSuchYear,
    VersionActivated,
    begin_of,
    with_year,
)
from sla.repository import calendars as repository
from sla.repository.calendars import KeptCalendar
from sla.repository.locks import lock_records
from sla.repository.public_holidays import public_holidays


@dataclass(frozen=True, slots=True)
class Begin:
    """From when on a version counts, and why; now where nobody says."""

    effective_from: datetime | None = None
    reason: str | None = None


async def draft_version(
    tx: Transaction, cause: Cause, id: str, facts: CalendarFacts, *, expected: Expected = ANYTHING
) -> int:
    """Writes the draft of the version that comes next, of a calendar that may be new; 1 where that changes anything.

    Raises DayTwice, CalendarMakesNoSense, NeverOpen, VersionNotStated, VersionChanged.
    """
    kept, cause = await _locked(tx, cause, id)
    facts = facts.with_days(facts.dated())
    if kept is not None and _written(kept) == facts:
        return 0
    await _require(expected, id, kept)
    await _store_draft(tx, cause, id, kept, facts)
    return 1


async def import_year(tx: Transaction, cause: Cause, id: str, year: int, *, expected: Expected = ANYTHING) -> int:
    """Adds the public holidays of a year to the draft, and what is said of every year; what is said of a date stays.

    Returns how many days are new; the year is to be confirmed anew then. Raises NoSuchCalendar, VersionChanged.
    """
    kept, cause = await _found(tx, cause, id)
    await _require(expected, id, kept)
    before = _written(kept)
    facts = _with_years(before, [year])
    new = len(facts.days) - len(before.days)
    if new:
        await _store_draft(tx, cause, id, kept, facts)
    noted = await repository.note_years(tx, id, [year], cause.recorded_at, cause.actor, anew=new > 0)
    if noted and not new:
        await repository.touch(tx, id, cause.recorded_at, cause.actor)
    return new


async def confirm_year(tx: Transaction, cause: Cause, id: str, year: int, *, expected: Expected = ANYTHING) -> int:
    """Notes that somebody has looked at the days of a year; 1 where nobody had. Raises NoSuchYear, VersionChanged."""
    kept, cause = await _found(tx, cause, id)
    await _require(expected, id, kept)
    confirmed = await repository.confirm_year(tx, id, year, cause.recorded_at, cause.actor)
    if confirmed is None:
        raise NoSuchYear(f"Nothing was imported into {id} for {year}: import the year first.")
    if confirmed:
        await repository.touch(tx, id, cause.recorded_at, cause.actor)
    return int(confirmed)


async def activate_version(
    tx: Transaction, cause: Cause, id: str, version: int, begin: Begin, *, expected: Expected = ANYTHING
) -> CalendarVersion:
    """Makes the draft count from an instant on. Clocks that run are switched afterwards, by a job.

    Raises NoSuchCalendar, NoSuchCalendarVersion, VersionActivated, VersionChanged, and what begin_of raises.
    """
    kept, cause = await _found(tx, cause, id)
    await _require(expected, id, kept)
    if kept.draft is None or version != kept.next_version:
        if kept.last is not None and version <= kept.last.version:
            raise VersionActivated(f"Version {version} of {id} counts already: draft the next one to change it.")
        raise NoSuchCalendarVersion(f"{id} has no draft of version {version}: write it first.")
    effective_from = begin_of(version, kept.last, begin.effective_from, cause.recorded_at, begin.reason)
    return await _activate(tx, cause, _version(id, version, _written(kept), effective_from), kept.draft, begin.reason)


async def record_calendars(tx: Transaction, cause: Cause, records: Sequence[CalendarRecord]) -> int:
    """Records the calendars of a file; how many changed. A new one counts at once, one that there is gets a draft."""
    await lock_records(tx)
    known = await repository.lock_calendars(tx, [one.id for one in records])
    cause = under_lock(cause, None)
    changed = await _begin(tx, cause, [one for one in records if one.id not in known])
    for record in records:
        if record.id in known:
            changed += await draft_version(tx, cause, record.id, _with_years(record.facts(), record.years()))
    return changed


async def load_shipped_calendars(tx: Transaction, cause: Cause, records: Sequence[CalendarRecord]) -> int:
    """Records the calendars that are not there; how many were new. What an admin made of one stays theirs."""
    await lock_records(tx)
    known = await repository.lock_calendars(tx, [one.id for one in records])
    cause = under_lock(cause, None)
    return await _begin(tx, cause, [one for one in records if one.id not in known])


async def _begin(tx: Transaction, cause: Cause, records: Sequence[CalendarRecord]) -> int:
    """The first version of new calendars, which counts for always."""
    for record in records:
        facts = _with_years(record.facts(), record.years())
        await repository.note_years(tx, record.id, record.years(), cause.recorded_at, cause.actor)
        await _activate(tx, cause, _version(record.id, 1, facts, None), _document(facts), None)
    return len(records)


async def _activate(
    tx: Transaction, cause: Cause, version: CalendarVersion, document: dict[str, Any], reason: str | None
) -> CalendarVersion:
    await repository.touch(tx, version.calendar_id, cause.recorded_at, cause.actor)
    await repository.insert_version(tx, version, document, reason, cause.recorded_at, cause.actor)
    await publish(tx, seal(cause, version.recorded()))
    return version


async def _store_draft(tx: Transaction, cause: Cause, id: str, kept: KeptCalendar | None, facts: CalendarFacts) -> None:
    number = kept.next_version if kept is not None else 1
    draft = _version(id, number, facts, None)
    await repository.touch(tx, id, cause.recorded_at, cause.actor)
    await repository.store_draft(tx, draft, _document(facts), cause.recorded_at, cause.actor)


async def _locked(tx: Transaction, cause: Cause, id: str) -> tuple[KeptCalendar | None, Cause]:
    await lock_records(tx)
    kept = (await repository.lock_calendars(tx, [id])).get(id)
    return kept, under_lock(cause, kept.changed_at if kept else None)


async def _found(tx: Transaction, cause: Cause, id: str) -> tuple[KeptCalendar, Cause]:
    kept, cause = await _locked(tx, cause, id)
    if kept is None:
        known = ", ".join(await repository.calendar_ids(tx)) or "none so far"
        raise NoSuchCalendar(f"There is no calendar {id}; there are: {known}.")
    return kept, cause


async def _require(expected: Expected, id: str, kept: KeptCalendar | None) -> None:
    await expected.require(f"The calendar {id}", kept.revision if kept else 0, _nothing_told)


async def _nothing_told() -> list[dict[str, Any]]:
    return []


def _with_years(facts: CalendarFacts, years: Sequence[int]) -> CalendarFacts:
    days = facts.dated()
    for year in years:
        # Whoever does not close on holidays need not keep them.
        days = with_year(days, facts.yearly(), public_holidays(year) if facts.closed_on else (), year)
    return facts.with_days(days)


def _version(id: str, number: int, facts: CalendarFacts, effective_from: datetime | None) -> CalendarVersion:
    return CalendarVersion(id, number, facts.name, facts.written(), effective_from)


def _written(kept: KeptCalendar) -> CalendarFacts:
    return CalendarFacts.model_validate(kept.newest)


def _document(facts: CalendarFacts) -> dict[str, Any]:
    return facts.model_dump(mode="json")
