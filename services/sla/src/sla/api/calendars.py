"""Calendars over HTTP: a draft is written, looked at day by day and by what it would change, and then it counts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shared import clock
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.idempotency import Idempotency
from shared.http.preconditions import IfMatch, IfMatchOrNew
from shared.http.transaction import Reading, Tx
from shared.stated import Instant, Line
from sla.commands import calendars as commands
from sla.commands.calendars import Begin
from sla.documents import CalendarFacts
from sla.domain.calendar import FIRST_YEAR, LAST_YEAR
from sla.queries import calendar_impact
from sla.queries import calendars as queries
from sla.queries.calendar_impact import Impact
from sla.queries.calendars import CalendarView, WrittenVersionView, YearOfDays

router = APIRouter(prefix="/v1/calendars", tags=["sla"])

Id = Annotated[str, Path(pattern=r"^[a-z0-9-]{2,34}$", examples=["comercial"])]
Version = Annotated[int, Path(ge=1, le=1_000_000)]
YearOfPath = Annotated[int, Path(ge=FIRST_YEAR, le=LAST_YEAR, examples=[2027])]
YearOfQuery = Annotated[int, Query(ge=FIRST_YEAR, le=LAST_YEAR, examples=[2027])]


class ActivateBody(BaseModel):
    """From when on a version counts."""

    model_config = ConfigDict(extra="forbid")

    effective_from: Instant | None = Field(
        default=None, description="now when left out; not before the version before began; the first has none"
    )
    reason: Line | None = Field(default=None, description="needed for a beginning in the past")


@router.get("", dependencies=[needs("contract:read")])
async def list_calendars(tx: Reading) -> list[CalendarView]:
    """Every calendar with its versions, and how many clocks are still to be switched to the latest."""
    return await queries.list_calendars(tx, clock.now())


@router.get("/{id}", dependencies=[needs("contract:read")])
async def get_calendar(tx: Reading, id: Id, response: Response) -> CalendarView:
    """One calendar."""
    found = await queries.get_calendar(tx, id, clock.now())
    etag(response, found.revision)
    return found


@router.get("/{id}/versions", dependencies=[needs("contract:read")])
async def list_versions(tx: Reading, id: Id) -> list[WrittenVersionView]:
    """Every version whole, the latest first; the draft, if there is one, before all."""
    return await queries.list_versions(tx, id, clock.now())


@router.get("/{id}/versions/{version}", dependencies=[needs("contract:read")])
async def get_version(tx: Reading, id: Id, version: Version) -> WrittenVersionView:
    """One version whole, or the draft."""
    return await queries.get_version(tx, id, version, clock.now())


@router.get("/{id}/days", dependencies=[needs("contract:read")])
async def list_days(
    tx: Reading, id: Id, year: YearOfQuery, version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None
) -> YearOfDays:
    """A year day by day, in the version that counts now or in another one, such as the draft."""
    return await queries.list_days(tx, id, year, version, clock.now())


@router.put("/{id}/draft", dependencies=[needs("contract:write")])
async def draft_version(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: CalendarFacts, response: Response
) -> CalendarView:
    """Writes the version that comes next, whole; nothing counts in it before it is activated. The same again changes
    nothing."""
    await commands.draft_version(tx, cause, id, facts, expected=expected)
    return await get_calendar(tx, id, response)


@router.post("/{id}/years/{year}/import", response_model=CalendarView, dependencies=[needs("contract:write")])
async def import_year(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: Id, year: YearOfPath
) -> Response:
    """Adds Argentina's public holidays of a year to the draft, which is begun from the latest version where there is
    none. What is said of a date already stays; the year is provisional until somebody confirms it."""
    await commands.import_year(tx, cause, id, year, expected=expected)
    return await _changed(tx, idempotency, id)


@router.post("/{id}/years/{year}/confirm", response_model=CalendarView, dependencies=[needs("contract:write")])
async def confirm_year(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: Id, year: YearOfPath
) -> Response:
    """Says that the days of a year are right."""
    await commands.confirm_year(tx, cause, id, year, expected=expected)
    return await _changed(tx, idempotency, id)


@router.get("/{id}/versions/{version}/impact", dependencies=[needs("contract:read")])
async def preview_impact(
    tx: Reading,
    id: Id,
    version: Version,
    effective_from: Annotated[Instant | None, Query(description="now when left out")] = None,
) -> Impact:
    """What activating the draft would change: how many clocks move, and which of them become breached."""
    return await calendar_impact.preview_impact(tx, id, version, effective_from, clock.now())


@router.post("/{id}/versions/{version}/activate", response_model=CalendarView, dependencies=[needs("contract:write")])
async def activate_version(
    expected: IfMatch,
    tx: Tx,
    cause: CauseDep,
    idempotency: Idempotency,
    id: Id,
    version: Version,
    body: ActivateBody,
) -> Response:
    """Makes the draft count from an instant on, for good. Clocks that run are switched to it one after the other:
    `clocks_to_switch` says how many are left."""
    await commands.activate_version(tx, cause, id, version, Begin(body.effective_from, body.reason), expected=expected)
    return await _changed(tx, idempotency, id)


async def _changed(tx: Tx, idempotency: Idempotency, id: str) -> Response:
    found = await queries.get_calendar(tx, id, clock.now())
    return await idempotency.answer(found, version=found.revision)
