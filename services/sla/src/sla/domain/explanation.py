"""A clock explained: each stretch of its life, whether it counts and why, the sum, the target and the due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Literal

from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import begun_second, instant, second
from sla.domain.clock import Interval

Language = Literal["es", "en"]


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch of a clock's life. `why` is what the ticket was doing, or `closed` where business was."""

    from_at: datetime
    until: datetime
    seconds: int
    counted: bool
    why: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """What the lines add up to, beside what was promised."""

    target_seconds: int
    counted_seconds: int
    due_at: datetime | None
    breached_at: datetime | None
    course: str


def lines_of(intervals: Iterable[Interval], hours: OpenTime, now: datetime) -> list[Line]:
    """The whole life up to `now`, where a stretch that would count is divided into what was open and what was closed.

    Edges are whole seconds; what has begun of the present one counts, as it does in the clock.
    """
    found: list[Line] = []
    for interval in intervals:
        for line in _lines_of(interval, hours, now):
            if found and line.why == found[-1].why == "closed":
                found[-1] = replace(found[-1], until=line.until, seconds=found[-1].seconds + line.seconds)
            else:
                found.append(line)
    return found


def _lines_of(interval: Interval, hours: OpenTime, now: datetime) -> Iterator[Line]:
    start, end = second(interval.from_at), begun_second(interval.until or max(interval.from_at, now))
    if not interval.counted and start < end:
        yield Line(interval.from_at, instant(end), end - start, False, interval.why, interval.reason)
    for stretch in hours.stretches(start, end) if interval.counted else ():
        yield Line(
            from_at=instant(stretch.start),
            until=instant(stretch.end),
            seconds=stretch.end - stretch.start,
            counted=stretch.open,
            why=interval.why if stretch.open else "closed",
            reason=interval.reason if stretch.open else None,
        )


def at_in(at: datetime, zone: tzinfo, language: Language) -> str:
    """An instant as people read it, in the time of a zone."""
    return _at(at, zone, _WORDS[language])


def length_of(seconds: int, language: Language) -> str:
    """A length as people read it."""
    return _length(seconds, _WORDS[language])


def told(lines: Sequence[Line], account: Account, zone: tzinfo, language: Language) -> list[str]:
    """The same in sentences, in the time of a zone."""
    words = _WORDS[language]
    return [*(_of_line(line, zone, words) for line in lines), *_of_account(account, zone, words)]


@dataclass(frozen=True, slots=True)
class _Words:
    days: tuple[str, ...]
    units: tuple[str, str, str]
    why: dict[str, str]
    reasons: dict[str, str]
    counts: str
    counts_not: str
    counted: str
    left: str
    used_up: str
    over: str
    due: str
    was_due: str
    paused: str
    breached: str


_WORDS: dict[Language, _Words] = {
    "es": _Words(
        days=("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
        units=("h", "min", "s"),
        why={
            "open": "en curso",
            "held": "en espera",
            "resolved": "resuelto",
            "cancelled": "cancelado",
            "closed": "fuera de horario",
        },
        reasons={
            "waiting-for-client": "del cliente",
            "agreed-date": "hasta la fecha acordada",
            "third-party": "de un tercero",
            "development": "de Desarrollo",
            "implementations": "de Implementaciones",
        },
        counts="cuenta {length}",
        counts_not="no cuenta",
        counted="Suma: {counted} de {target}.",
        left="Quedan {left}.",
        used_up="No queda nada.",
        over="Excedido por {over}.",
        due="Vence el {at}.",
        was_due="El plazo terminó el {at}.",
        paused="En pausa: vence cuando corra de nuevo.",
        breached="Incumplido desde el {at}.",
    ),
    "en": _Words(
        days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        units=("h", "min", "s"),
        why={
            "open": "in progress",
            "held": "on hold",
            "resolved": "resolved",
            "cancelled": "cancelled",
            "closed": "outside business hours",
        },
        reasons={
            "waiting-for-client": "for the client",
            "agreed-date": "until the agreed date",
            "third-party": "for a third party",
            "development": "for Development",
            "implementations": "for Implementations",
        },
        counts="counts {length}",
        counts_not="does not count",
        counted="Sum: {counted} of {target}.",
        left="{left} left.",
        used_up="Nothing left.",
        over="Exceeded by {over}.",
        due="Due {at}.",
        was_due="The time was over on {at}.",
        paused="Paused: due once it runs again.",
        breached="Breached since {at}.",
    ),
}


def _of_line(line: Line, zone: tzinfo, words: _Words) -> str:
    counts = words.counts.format(length=_length(line.seconds, words)) if line.counted else words.counts_not
    why = words.why.get(line.why, line.why)
    if line.reason is not None:
        why = f"{why} {words.reasons.get(line.reason, line.reason)}"
    return f"{_from_to(line, zone, words)}: {why}, {counts}."


def _of_account(account: Account, zone: tzinfo, words: _Words) -> Iterator[str]:
    left = account.target_seconds - account.counted_seconds
    yield words.counted.format(
        counted=_length(account.counted_seconds, words), target=_length(account.target_seconds, words)
    )
    if left > 0:
        yield words.left.format(left=_length(left, words))
    else:
        yield words.over.format(over=_length(-left, words)) if left < 0 else words.used_up
    if account.breached_at is not None:
        yield words.breached.format(at=_at(account.breached_at, zone, words))
    elif account.course == "paused":
        yield words.paused
    elif account.course == "running" and account.due_at is not None:
        yield (words.due if left > 0 else words.was_due).format(at=_at(account.due_at, zone, words))


def _from_to(line: Line, zone: tzinfo, words: _Words) -> str:
    start, end = line.from_at.astimezone(zone), line.until.astimezone(zone)
    short = f"{end:%H:%M}" if end.second == 0 and start.second == 0 else f"{end:%H:%M:%S}"
    if start.date() == end.date():
        return f"{_at(line.from_at, zone, words)} – {short}"
    return f"{_at(line.from_at, zone, words)} – {_at(line.until, zone, words)}"


def _at(at: datetime, zone: tzinfo, words: _Words) -> str:
    local = at.astimezone(zone)
    time = f"{local:%H:%M}" if local.second == 0 else f"{local:%H:%M:%S}"
    return f"{words.days[local.weekday()]} {local:%d/%m/%Y} {time}"


def _length(seconds: int, words: _Words) -> str:
    parts = zip((seconds // 3600, seconds // 60 % 60, seconds % 60), words.units, strict=True)
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or f"0 {words.units[2]}"
