"""What activating a version of a calendar would change: which clocks move, and which of these become breached."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from shared.business_time.known import CalendarName, KnownCalendars
from shared.db.statement import query
from shared.db.transaction import Reader, Row
from shared.ids import new_id
from sla.domain.calendar import CalendarVersion, NoSuchCalendarVersion, VersionActivated, begin_of
from sla.domain.clock import Clock
from sla.domain.fold import fold
from sla.domain.switching import Activated, switches
from sla.repository.calendars import VERSION, version_of
from sla.repository.clocks import CLOCKS_WITH_FACTS, with_facts

# So many clocks are looked at between two looks at everything else that the process does.
_PORTION = 200
_EXAMPLES = 5


class MovedClock(BaseModel):
    """A clock that would move."""

    ticket_id: UUID
    kind: str
    due_at: datetime | None = Field(description="null while it is paused")
    would_be_due_at: datetime | None
    becomes_breached: bool


class Impact(BaseModel):
    """What would change if the version counted from `effective_from` on. Clocks that have ended are never touched."""

    calendar_id: str
    version: int
    effective_from: datetime | None = Field(description="null: for always, it is the first one")
    clocks: int = Field(description="how many run or are paused and count in this calendar")
    moved: int = Field(description="how many of them would have another due, or other seconds counted")
    become_breached: int
    examples: list[MovedClock] = Field(description="some of those that move, those that become breached first")
    breached_tickets: list[UUID] = Field(description="the tickets of all that become breached, at most a thousand")


@dataclass(frozen=True, slots=True)
class _Switched:
    """A clock before and after."""

    ticket_id: UUID
    kind: str
    before: Clock
    after: Clock

    @property
    def moves(self) -> bool:
        return (self.before.due_at, self.before.counted_seconds) != (self.after.due_at, self.after.counted_seconds)

    @property
    def becomes_breached(self) -> bool:
        return self.before.breached_at is None and self.after.breached_at is not None

    def view(self) -> MovedClock:
        return MovedClock(
            ticket_id=self.ticket_id,
            kind=self.kind,
            due_at=self.before.due_at,
            would_be_due_at=self.after.due_at,
            becomes_breached=self.becomes_breached,
        )


_MOST_TICKETS = 1000
_DRAFT = query("""
    SELECT calendar_id, version, name, definition, NULL AS effective_from FROM sla.calendar_drafts
    WHERE calendar_id = :id
""")
_ACTIVATED = query(f"""
    SELECT {VERSION} FROM sla.calendar_versions v WHERE v.calendar_id = :id ORDER BY v.version
""")
_CLOCKS = query(f"""
    {CLOCKS_WITH_FACTS}
    WHERE c.calendar_id = :id AND c.course IN ('running', 'paused')
      AND (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
    ORDER BY c.id LIMIT :portion
""")


async def preview_impact(tx: Reader, id: str, version: int, effective_from: datetime | None, now: datetime) -> Impact:
    """What activating the draft would change, told by the same fold that will change it.

    Raises NoSuchCalendarVersion, VersionActivated, and what begin_of raises but for a missing reason.
    """
    activated = [version_of(row) for row in await tx.fetch(_ACTIVATED, {"id": id})]
    draft = await _draft(tx, id, version, activated)
    begin = begin_of(version, activated[-1] if activated else None, effective_from, now, "only looked at")
    known = KnownCalendars()
    for one in (*activated, draft):
        known.learn(CalendarName(id, one.version), one.calendar)
    clocks = moved = 0
    breached: list[MovedClock] = []
    examples: list[MovedClock] = []
    after: UUID | None = None
    while rows := await tx.fetch(_CLOCKS, {"id": id, "after": after, "portion": _PORTION}):
        found = [one for one in _switched(rows, known, Activated(version, begin, now), now) if one.moves]
        clocks, moved, after = clocks + len(rows), moved + len(found), rows[-1].id
        breached += [one.view() for one in found if one.becomes_breached]
        examples += [one.view() for one in found if not one.becomes_breached][: _EXAMPLES - len(examples)]
    return Impact(
        calendar_id=id,
        version=version,
        effective_from=begin,
        clocks=clocks,
        moved=moved,
        become_breached=len(breached),
        examples=[*breached, *examples][:_EXAMPLES],
        breached_tickets=[one.ticket_id for one in breached][:_MOST_TICKETS],
    )


async def _draft(tx: Reader, id: str, version: int, activated: Sequence[CalendarVersion]) -> CalendarVersion:
    row = await tx.fetch_first(_DRAFT, {"id": id})
    if row is not None and row.version == version:
        return version_of(row)
    if any(one.version == version for one in activated):
        raise VersionActivated(f"Version {version} of {id} counts already: there is nothing left to look ahead to.")
    raise NoSuchCalendarVersion(f"{id} has no draft of version {version}: write it first.")


def _switched(rows: Sequence[Row], known: KnownCalendars, to: Activated, now: datetime) -> list[_Switched]:
    found = []
    for row in rows:
        read = with_facts(row)
        clock, facts = read.clock, read.facts
        before = fold(clock.terms, facts, known, now)
        news = switches(clock.ticket_id, clock.kind, to.version - 1, [to], row.started_at, lambda _: new_id())
        after = fold(clock.terms, [*facts, *(one.meaning() for one in news)], known, now)
        if before is not None and after is not None:
            found.append(_Switched(clock.ticket_id, clock.kind, before.clock, after.clock))
    return found
