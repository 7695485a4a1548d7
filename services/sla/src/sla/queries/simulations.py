"""Business time and clocks on calendars that a caller brings along: nothing is read, nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.business_time.calendar import read_calendar
from shared.business_time.index import Index
from shared.business_time.known import CalendarName, In
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, instant, second
from shared.business_time.zones import zone_info
from shared.contracts.calendars import WrittenCalendar, WrittenWeek
from shared.errors import DeskError
from shared.stated import AS_NUMBER, Instant
from sla.domain.clock import Fact, FactKind, Folded, Terms
from sla.domain.fold import fold

# A hundred years: what is longer is a slip of the keyboard.
_MOST_SECONDS = 100 * 366 * 24 * 60 * 60
_Whole = Annotated[int, Field(ge=-_MOST_SECONDS, le=_MOST_SECONDS), AS_NUMBER]
_Target = Annotated[int, Field(gt=0, le=_MOST_SECONDS), AS_NUMBER]
_HOLD = "paused"


class _Stated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StatedWeek(WrittenWeek):
    """The windows of a week; a day of another name is a mistake."""

    model_config = ConfigDict(extra="forbid")


class StatedCalendar(WrittenCalendar):
    """A calendar as a case brings it along."""

    model_config = ConfigDict(extra="forbid")

    weekly: StatedWeek = StatedWeek()


class AddInput(_Stated):
    """So many open seconds from an instant on; `back` walks towards the past."""

    start: Instant
    business_seconds: _Whole
    direction: Literal["forward", "back"] = "forward"


class BetweenInput(_Stated):
    """From one instant to another."""

    start: Instant
    end: Instant


class RemainingInput(_Stated):
    """What of a target is left at `end`."""

    start: Instant
    business_seconds: _Target
    end: Instant


class CaseEvent(_Stated):
    """What happened to a clock. A change of the target holds from the start of the clock on."""

    at: Instant
    type: Literal["start", "pause", "resume", "stop", "target_change"]
    target_seconds: _Target | None = None


class LifecycleInput(_Stated):
    """The life of one clock."""

    target_seconds: _Target
    events: tuple[CaseEvent, ...] = Field(min_length=1, max_length=1000)


class _Case(_Stated):
    id: str | int
    calendar: StatedCalendar


class AddCase(_Case):
    """When so many open seconds have passed."""

    kind: Literal["add"]
    input: AddInput


class BetweenCase(_Case):
    """How many open seconds lie between two instants."""

    kind: Literal["between"]
    input: BetweenInput


class RemainingCase(_Case):
    """How much of a target is left at an instant."""

    kind: Literal["remaining"]
    input: RemainingInput


class LifecycleCase(_Case):
    """Where the life of a clock leads."""

    kind: Literal["lifecycle"]
    input: LifecycleInput


Case = Annotated[AddCase | BetweenCase | RemainingCase | LifecycleCase, Field(discriminator="kind")]
Result = dict[str, Any]
_CASE: TypeAdapter[Case] = TypeAdapter(Case)


def simulate_lines(lines: Iterable[str]) -> Iterator[str]:
    """One case per line in, one result per line out, as JSON; a case that makes no sense says so, and the rest goes on.

    A line without a word is passed over.
    """
    for line in lines:
        if line.strip():
            yield json.dumps(_simulate_line(line), ensure_ascii=False)


def simulate(stated: Any) -> Result:
    """The result of one case: its `id` with what was asked for, or with `error`, which says what to do."""
    named = {"id": stated.get("id") if isinstance(stated, dict) else None}
    try:
        case = _CASE.validate_python(stated)
        return {**named, **_answer(case)}
    except ValidationError as error:
        return {**named, "error": "; ".join(_told(problem) for problem in error.errors(include_url=False))}
    except DeskError as error:
        return {**named, "error": error.message}


def _simulate_line(line: str) -> Result:
    try:
        stated = json.loads(line)
    except ValueError as error:
        return {"id": None, "error": f"the line is no JSON: {error}"}
    return simulate(stated)


def _told(problem: Any) -> str:
    where = ".".join(str(one) for one in problem["loc"])
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])


def _answer(case: Case) -> Result:
    hours = _hours(case.calendar.model_dump_json())
    zone = zone_info(case.calendar.timezone)
    match case:
        case AddCase(input=given):
            back = given.direction == "back"
            seconds = -abs(given.business_seconds) if back else given.business_seconds
            return {"end": _said(hours.add(second(given.start), seconds, back=back), zone)}
        case BetweenCase(input=given):
            return {"business_seconds": hours.between(second(given.start), second(given.end))}
        case RemainingCase(input=given):
            elapsed = hours.between(second(given.start), begun_second(given.end))
            return {"business_seconds": given.business_seconds - elapsed, "elapsed": elapsed}
        case LifecycleCase(input=given):
            return _lived(given, hours, zone)


# Cases mostly come with the same few calendars.
@lru_cache(maxsize=64)
def _hours(calendar: str) -> OpenTime:
    return Index(read_calendar(StatedCalendar.model_validate_json(calendar)))


def _lived(given: LifecycleInput, hours: OpenTime, zone: ZoneInfo) -> Result:
    target = given.target_seconds
    for one in sorted((one for one in given.events if one.target_seconds), key=lambda one: one.at):
        target = one.target_seconds or target
    terms = Terms("resolution", target, frozenset({_HOLD}), (), CalendarName("stated", 1))
    last = max(one.at for one in given.events)
    folded = fold(terms, _facts(given.events), _OfTheCase(hours), last)
    if folded is None:
        raise NoStart("input.events: the clock has no start: give one event of the type start")
    clock = folded.clock
    elapsed = clock.elapsed_seconds(hours, last)
    return {
        "end": None if clock.due_at is None else _said(second(clock.due_at), zone),
        "business_seconds": elapsed,
        "paused_business_seconds": _paused(folded, hours, last),
        "remaining": target - elapsed,
        "breached": clock.breached_at is not None,
        "state": clock.course,
    }


@dataclass(frozen=True, slots=True)
class _OfTheCase:
    """The one calendar of a case, whatever it is called."""

    given: OpenTime

    def hours(self, _counted_in: Sequence[In]) -> OpenTime:
        return self.given


class NoStart(DeskError):
    """The life of a clock begins with a start."""

    code = "no-start"
    title = "The clock has no start"


def _facts(events: Iterable[CaseEvent]) -> Iterator[Fact]:
    number = count(1)
    for one in events:
        if one.type != "target_change":
            at = next(number)
            reason = _HOLD if one.type == "pause" else None
            yield Fact(UUID(int=at), FactKind(one.type), one.at, at, reason=reason)


def _paused(folded: Folded, hours: OpenTime, last: datetime) -> int:
    """The open seconds in which it was on hold."""
    held = [one for one in folded.intervals if one.why == "held"]
    return sum(
        max(0, hours.between(second(one.from_at), begun_second(one.until or last))) for one in held if not one.counted
    )


def _said(at: int, zone: ZoneInfo) -> str:
    return instant(at).astimezone(zone).isoformat()
