"""How long a settled ticket may still come back, and when it closes by itself: in business days of its contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from shared.business_time.calendar import read_calendar
from shared.business_time.index import BeyondReach, Index
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import instant, second
from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from shared.errors import Conflict

# What is usual, for as long as nothing is known here of the contract, its type or its calendar.
REOPEN_DAYS, OBJECTION_DAYS = 5, 3
_NINE_TO_SIX = (("09:00", "18:00"),)
_WEEKDAYS = WrittenWeek(mon=_NINE_TO_SIX, tue=_NINE_TO_SIX, wed=_NINE_TO_SIX, thu=_NINE_TO_SIX, fri=_NINE_TO_SIX)
_OFFICE_HOURS = WrittenCalendar(timezone="America/Argentina/Buenos_Aires", weekly=_WEEKDAYS)


class ReopenWindowPassed(Conflict):
    """What comes back after so long is another matter, with clocks of its own."""

    code = "reopen-window-passed"
    title = "The ticket can no longer be reopened"


@dataclass(frozen=True, slots=True)
class ClosingTerms:
    """So many business days after its resolution a ticket may come back, and closes when nobody has objected."""

    reopen_days: int
    objection_days: int
    hours: OpenTime


@dataclass(frozen=True, slots=True)
class Windows:
    """Until when a resolved ticket may be reopened, and when it closes by itself."""

    reopenable_until: datetime
    closes_at: datetime


@cache
def office_hours() -> OpenTime:
    """Monday to Friday, 09 to 18 in Buenos Aires, without holidays."""
    return Index(read_calendar(_OFFICE_HOURS))


def usual_terms() -> ClosingTerms:
    """What holds where nothing is known."""
    return ClosingTerms(REOPEN_DAYS, OBJECTION_DAYS, office_hours())


def windows_after(resolved_at: datetime, terms: ClosingTerms) -> Windows:
    """Both end with the closing of a business day; that of the resolution does not count. No days end at once."""
    reopen, objection = (_closing(resolved_at, days, terms.hours) for days in (terms.reopen_days, terms.objection_days))
    return Windows(reopenable_until=reopen, closes_at=objection)


def _closing(resolved_at: datetime, days: int, hours: OpenTime) -> datetime:
    begun = second(resolved_at)
    try:
        end = hours.add_days(begun, days)
    except BeyondReach:
        # A calendar of some dates only may have none left, and that must keep nobody from resolving a ticket.
        end = office_hours().add_days(begun, days)
    return max(resolved_at, instant(end))


def require_reopenable(number: str, reopenable_until: datetime | None, at: datetime) -> None:
    """Checks that a ticket was not resolved too long ago to go on. Raises ReopenWindowPassed."""
    if reopenable_until is not None and at > reopenable_until:
        until = reopenable_until.isoformat()
        raise ReopenWindowPassed(
            f"{number} could be reopened until {until}: open a new one and name it there", reopenable_until=until
        )
