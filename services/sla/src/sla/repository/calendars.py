"""Calendars: the versions that count, the draft of the next one, and the years that somebody has to confirm."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.calendars import WrittenCalendar
from shared.db.statement import sql
from shared.db.transaction import Row, Transaction
from sla.domain.calendar import CalendarVersion

VERSION = "v.calendar_id, v.version, v.name, v.definition, v.effective_from"
_LAST = sql(f"""
    SELECT c.id, c.revision, c.changed_at, d.facts AS draft, {VERSION}, v.facts
    FROM sla.calendars c
    LEFT JOIN sla.calendar_drafts d ON d.calendar_id = c.id
    LEFT JOIN LATERAL (SELECT * FROM sla.calendar_versions v WHERE v.calendar_id = c.id
                       ORDER BY v.version DESC LIMIT 1) v ON true
    WHERE c.id = ANY(CAST(:ids AS text[])) ORDER BY c.id FOR UPDATE OF c
""")
_IDS = sql("SELECT id FROM sla.calendars ORDER BY id")
_TOUCH = sql("""
    INSERT INTO sla.calendars AS c (id, revision, changed_at, changed_by) VALUES (:id, 1, :now, :actor)
    ON CONFLICT (id) DO UPDATE SET revision = c.revision + 1, changed_by = excluded.changed_by,
        changed_at = greatest(excluded.changed_at, c.changed_at + interval '1 microsecond')
""")
_STORE_DRAFT = sql("""
    INSERT INTO sla.calendar_drafts AS d (calendar_id, version, name, facts, definition, changed_at, changed_by)
    VALUES (:id, :version, :name, :facts, :definition, :now, :actor)
    ON CONFLICT (calendar_id) DO UPDATE SET version = excluded.version, name = excluded.name, facts = excluded.facts,
        definition = excluded.definition, changed_by = excluded.changed_by,
        changed_at = greatest(excluded.changed_at, d.changed_at + interval '1 microsecond')
""")
_FORGET_DRAFT = sql("DELETE FROM sla.calendar_drafts WHERE calendar_id = :id")
_INSERT_VERSION = sql("""
    INSERT INTO sla.calendar_versions (calendar_id, version, name, facts, definition, effective_from, reason,
                                       activated_at, activated_by)
    VALUES (:id, :version, :name, :facts, :definition, :effective_from, :reason, :now, :actor)
""")
_NOTE_YEARS = sql("""
    INSERT INTO sla.calendar_years (calendar_id, year, imported_at, imported_by)
    SELECT :id, year, :now, :actor FROM unnest(CAST(:years AS int[])) AS g(year)
    ON CONFLICT (calendar_id, year) DO UPDATE SET imported_at = excluded.imported_at,
        imported_by = excluded.imported_by, confirmed_at = NULL, confirmed_by = NULL WHERE :anew
""")
_CONFIRM_YEAR = sql("""
    UPDATE sla.calendar_years SET confirmed_at = :now, confirmed_by = :actor
    WHERE calendar_id = :id AND year = :year AND confirmed_at IS NULL
""")
_YEAR = sql("SELECT confirmed_at FROM sla.calendar_years WHERE calendar_id = :id AND year = :year")


@dataclass(frozen=True, slots=True)
class KeptCalendar:
    """A calendar as it is kept, locked: how often it was changed, the last version that counts, and the draft.

    Documents are as they were written. `last` is None for one of which nothing counts so far.
    """

    id: str
    revision: int
    changed_at: datetime
    draft: dict[str, Any] | None
    last: CalendarVersion | None
    last_facts: dict[str, Any] | None

    @property
    def next_version(self) -> int:
        """The number of the version that is or would be drafted."""
        return self.last.version + 1 if self.last else 1

    @property
    def newest(self) -> dict[str, Any] | None:
        """The draft; where there is none, what counts."""
        return self.draft if self.draft is not None else self.last_facts


async def lock_calendars(tx: Transaction, ids: Iterable[str]) -> dict[str, KeptCalendar]:
    """Those of these calendars that exist, locked."""
    rows = await tx.fetch(_LAST, {"ids": list(ids)})
    return {
        row.id: KeptCalendar(
            id=row.id,
            revision=row.revision,
            changed_at=row.changed_at,
            draft=row.draft,
            last=None if row.calendar_id is None else version_of(row),
            last_facts=row.facts,
        )
        for row in rows
    }


async def calendar_ids(tx: Transaction) -> list[str]:
    """The id of every calendar."""
    return [row.id for row in await tx.fetch(_IDS)]


async def touch(tx: Transaction, id: str, now: datetime, actor: str) -> None:
    """Notes that a calendar is another than it was; one that is new begins."""
    await tx.execute(_TOUCH, {"id": id, "now": now, "actor": actor})


async def store_draft(
    tx: Transaction, version: CalendarVersion, facts: dict[str, Any], now: datetime, actor: str
) -> None:
    """Keeps a version as the draft of its calendar, in place of the draft that there was."""
    await tx.execute(_STORE_DRAFT, {**_columns(version, facts), "now": now, "actor": actor})


async def insert_version(
    tx: Transaction, version: CalendarVersion, facts: dict[str, Any], reason: str | None, now: datetime, actor: str
) -> None:
    """Adds a version that counts, and forgets the draft."""
    columns = {**_columns(version, facts), "effective_from": version.effective_from, "reason": reason}
    await tx.execute(_INSERT_VERSION, {**columns, "now": now, "actor": actor})
    await tx.execute(_FORGET_DRAFT, {"id": version.calendar_id})


async def note_years(
    tx: Transaction, id: str, years: Collection[int], now: datetime, actor: str, *, anew: bool = True
) -> int:
    """Notes that the days of these years were imported, and that nobody has confirmed them; of how many that is news.

    Not `anew`: a year of which that was noted before stays as it is.
    """
    given = {"id": id, "years": list(years), "now": now, "actor": actor, "anew": anew}
    return await tx.execute(_NOTE_YEARS, given) if years else 0


async def confirm_year(tx: Transaction, id: str, year: int, now: datetime, actor: str) -> bool | None:
    """Notes who has confirmed a year; False where somebody had, None for one that was never imported."""
    if await tx.execute(_CONFIRM_YEAR, {"id": id, "year": year, "now": now, "actor": actor}):
        return True
    return None if await tx.fetch_first(_YEAR, {"id": id, "year": year}) is None else False


def version_of(row: Row) -> CalendarVersion:
    """A version of a calendar from its row."""
    return CalendarVersion(
        calendar_id=row.calendar_id,
        version=row.version,
        name=row.name,
        calendar=WrittenCalendar.model_validate(row.definition),
        effective_from=row.effective_from,
    )


def _columns(version: CalendarVersion, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": version.calendar_id,
        "version": version.version,
        "name": version.name,
        "facts": facts,
        "definition": version.calendar.model_dump(mode="json"),
    }
