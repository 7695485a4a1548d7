"""Rotas: who is on call at an instant, and where nobody is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import Conflict, Invalid, NotFound

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class RotaMakesNoSense(Invalid):
    """Shifts or overrides that contradict each other; the message says which."""

    code = "rota-makes-no-sense"
    title = "The rota contradicts itself"


class NoSuchRota(NotFound):
    """No rota has this id."""

    code = "no-such-rota"
    title = "There is no such rota"


class NoRota(NotFound):
    """Nobody ever said who of the team is on call."""

    code = "no-rota"
    title = "The team has no rota"


class TeamHasRota(Conflict):
    """Of two rotas nobody could say whose people are called; `rota` travels with it."""

    code = "team-has-rota"
    title = "The team has another rota"


@dataclass(frozen=True, slots=True)
class Shift:
    """Every week at this day from `begins` to `ends`, of the next day where that is not later, in the rota's zone."""

    place: int
    day: str
    begins: time
    ends: time
    person_id: str


@dataclass(frozen=True, slots=True)
class Override:
    """From `from_at` (included) to `until_at` (not included) this one has the place, or nobody."""

    place: int
    from_at: datetime
    until_at: datetime
    person_id: str | None


@dataclass(frozen=True, slots=True)
class Rota:
    """Who of a team is on call. Hours of shifts are those that a clock on the wall of `zone` shows."""

    team_id: str
    zone: str
    shifts: tuple[Shift, ...]
    overrides: tuple[Override, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """The places in the line, the first first."""
        return tuple(sorted({one.place for one in self.shifts} | {one.place for one in self.overrides}))


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who has a place at an instant; `person_id` is None where nobody has it. `until_at` is when the stretch ends."""

    place: int
    person_id: str | None
    until_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch in which nobody has the first place."""

    from_at: datetime
    until_at: datetime


def checked(rota: Rota) -> Rota:
    """The same rota in its one order.

    Raises RotaMakesNoSense for a zone that there is not, a stretch that is empty, and two who have a place at once.
    """
    try:
        ZoneInfo(rota.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RotaMakesNoSense(
            f"there is no time zone {rota.zone}: say one such as America/Argentina/Buenos_Aires"
        ) from error
    for one in rota.overrides:
        if one.until_at <= one.from_at:
            raise RotaMakesNoSense(f"an override of place {one.place} ends before it begins")
    overrides = sorted(rota.overrides, key=lambda one: (one.place, one.from_at))
    for first, second in pairwise(overrides):
        if first.place == second.place and second.from_at < first.until_at:
            raise RotaMakesNoSense(
                f"two overrides of place {first.place} meet at {second.from_at.isoformat()}: end one before"
            )
    _require_one_at_a_time(rota)
    shifts = sorted(rota.shifts, key=lambda one: (one.place, WEEKDAYS.index(one.day), one.begins))
    return Rota(rota.team_id, rota.zone, tuple(shifts), tuple(overrides))


def on_call(rota: Rota, at: datetime) -> tuple[OnCall, ...]:
    """Who has each place at an instant, the first first."""
    return tuple(_at_place(rota, place, at) for place in rota.places)


def holes(rota: Rota, since: datetime, until: datetime) -> tuple[Hole, ...]:
    """Every stretch between two instants in which nobody has the first place, in order."""
    found: list[Hole] = []
    at = since
    while at < until:
        now = _at_place(rota, 1, at)
        end = until if now.until_at is None else min(now.until_at, until)
        if now.person_id is None:
            if found and found[-1].until_at == at:
                found[-1] = Hole(found[-1].from_at, end)
            else:
                found.append(Hole(at, end))
        at = end
    return tuple(found)


def _at_place(rota: Rota, place: int, at: datetime) -> OnCall:
    overrides = [one for one in rota.overrides if one.place == place]
    stretches = list(_weekly(rota, place, at))
    edges = [edge for begin, end, _ in stretches for edge in (begin, end)]
    edges += [edge for one in overrides for edge in (one.from_at, one.until_at)]
    until = min((edge for edge in edges if edge > at), default=None)
    standing_in = next((one for one in overrides if one.from_at <= at < one.until_at), None)
    if standing_in is not None:
        return OnCall(place, standing_in.person_id, until)
    person = next((who for begin, end, who in stretches if begin <= at < end), None)
    return OnCall(place, person, until)


def _weekly(rota: Rota, place: int, at: datetime) -> Iterable[tuple[datetime, datetime, str]]:
    """The shifts of a place around an instant, as stretches of real time; a week on is where the pattern repeats."""
    zone = ZoneInfo(rota.zone)
    today = at.astimezone(zone).date()
    for days in range(-2, 9):
        day = today + days * _DAY
        for one in rota.shifts:
            if one.place == place and WEEKDAYS[day.weekday()] == one.day:
                begin = _instant(day, one.begins, zone)
                end = _instant(day if one.ends > one.begins else day + _DAY, one.ends, zone)
                yield begin, end, one.person_id


def _instant(day: date, hour: time, zone: ZoneInfo) -> datetime:
    """The first instant at which a clock on the wall shows that or more: what it skips is the instant of the skip."""
    wanted = datetime.combine(day, hour)
    late = wanted.replace(tzinfo=zone).astimezone(UTC)
    if _shown(late, zone) == wanted:
        return late
    # Read by the offset after the skip it lies before it, by the one before the skip after it: the skip is between.
    early = wanted.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > _SECOND:
        between = early + (late - early) // 2
        early, late = (between, late) if _shown(between, zone) < wanted else (early, between)
    return late.replace(microsecond=0)


def _shown(at: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows at an instant."""
    return at.astimezone(zone).replace(tzinfo=None)


def _require_one_at_a_time(rota: Rota) -> None:
    """Two shifts of one place may not overlap in the hours of the week."""
    by_place: dict[int, list[tuple[int, int, Shift]]] = {}
    for one in rota.shifts:
        begin = _minute(one.day, one.begins)
        length = (_minute("mon", one.ends) - _minute("mon", one.begins)) % (24 * 60) or 24 * 60
        by_place.setdefault(one.place, []).append((begin, begin + length, one))
    for place, stretches in by_place.items():
        ordered = sorted(stretches, key=lambda stretch: stretch[:2])
        again = [(begin + _WEEK, end + _WEEK, one) for begin, end, one in ordered[:1]]
        for (_, end, first), (begin, _, second) in zip(ordered, [*ordered[1:], *again], strict=True):
            if begin < end:
                raise RotaMakesNoSense(
                    f"{first.person_id} and {second.person_id} both have place {place} on {second.day} at "
                    f"{second.begins:%H:%M}: end one shift before the other begins"
                )


_WEEK = 7 * 24 * 60


def _minute(day: str, hour: time) -> int:
    return WEEKDAYS.index(day) * 24 * 60 + hour.hour * 60 + hour.minute


def people_of(rota: Rota) -> Sequence[str]:
    """Everybody whom it names."""
    standing_in = {one.person_id for one in rota.overrides if one.person_id is not None}
    return sorted({one.person_id for one in rota.shifts} | standing_in)
