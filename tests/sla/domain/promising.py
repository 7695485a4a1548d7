"""What contracts say in the tests of their rules: two calendars and a whole set of targets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.business_time.calendar import read_calendar
from shared.business_time.index import Index
from shared.business_time.seconds import second
from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from shared.contracts.sla import ClockKind, TargetRule
from sla.domain.contract import Promises, Warnings

HOUR = 3600
START = datetime(2026, 1, 1, 3, tzinfo=UTC)
NOW = second(START)
_OFFICE = (("09:00", "18:00"),)
_WHOLE = (("00:00", "24:00"),)
OFFICE = WrittenCalendar(
    timezone="America/Argentina/Buenos_Aires",
    weekly=WrittenWeek(mon=_OFFICE, tue=_OFFICE, wed=_OFFICE, thu=_OFFICE, fri=_OFFICE),
)
ALWAYS = WrittenCalendar(
    timezone="America/Argentina/Buenos_Aires",
    weekly=WrittenWeek(mon=_WHOLE, tue=_WHOLE, wed=_WHOLE, thu=_WHOLE, fri=_WHOLE, sat=_WHOLE, sun=_WHOLE),
)
HOURS = {"comercial": Index(read_calendar(OFFICE)), "24x7": Index(read_calendar(ALWAYS))}


def rule(clock: ClockKind, seconds: int, calendar: str = "comercial", **named: Any) -> TargetRule:
    """A target, for whatever is named."""
    return TargetRule(clock=clock, seconds=seconds, calendar_id=calendar, **named)


_PER_SEVERITY: dict[ClockKind, int] = {"response": 1, "resolution": 10}
TARGETS = tuple(
    rule(clock, hours * severity * HOUR, severities=(severity,))
    for clock, hours in _PER_SEVERITY.items()
    for severity in (1, 2, 3, 4)
)
PROMISES = Promises(
    targets=TARGETS,
    pausing_holds=("agreed-date", "waiting-for-client"),
    warnings=Warnings(("50%", "80%"), ("50%", "75%", "90%")),
    reporting_calendar="comercial",
    reopen_days=5,
    objection_days=3,
    currency="ARS",
)
