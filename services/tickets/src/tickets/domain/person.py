"""People: whether somebody is there at an instant, and whom somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Literal

from shared.contracts.teams import Absence
from shared.errors import Invalid, NotFound

# So many are named to whoever named nobody.
_MEANT = 3


class NoSuchPerson(NotFound):
    """Nobody of this id ever showed a token, and no admin recorded them."""

    code = "no-such-person"
    title = "Nobody knows this person"


class UnknownPerson(Invalid):
    """A record names somebody whom nobody knows."""

    code = "unknown-person"
    title = "The record names somebody whom nobody knows"


class AbsenceMakesNoSense(Invalid):
    """Nobody is away for no time at all."""

    code = "absence-makes-no-sense"
    title = "The absence ends before it begins"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as far as it matters whether they can be asked now."""

    id: str
    name: str | None
    active: bool
    absences: tuple[Absence, ...] = ()


@dataclass(frozen=True, slots=True)
class Presence:
    """Why somebody is passed over at an instant (None: they are there), and when that may be otherwise."""

    passed_over: Literal["inactive", "absent"] | None
    until_at: datetime | None


def presence(person: Person, at: datetime) -> Presence:
    """Whether somebody is there at an instant. Absences may overlap and follow each other."""
    if not person.active:
        return Presence("inactive", None)
    back = at
    while away := [one.until_at for one in person.absences if one.from_at <= back < one.until_at]:
        back = max(away)
    if back > at:
        return Presence("absent", back)
    return Presence(None, min((one.from_at for one in person.absences if one.from_at > at), default=None))


def check_absences(absences: Iterable[Absence]) -> tuple[Absence, ...]:
    """The absences in their one order. Raises AbsenceMakesNoSense."""
    ordered = sorted(absences, key=lambda one: (one.from_at, one.until_at))
    for one in ordered:
        if one.until_at <= one.from_at:
            raise AbsenceMakesNoSense(
                f"the absence from {one.from_at.isoformat()} ends at {one.until_at.isoformat()}: say when it ends"
            )
    return tuple(ordered)


def nearest(asked: str, names: Mapping[str, str | None]) -> tuple[str, ...]:
    """The ids of whatever may have been meant by an id that is not known, the likeliest first, at most three."""
    known: dict[str, str] = {}
    for each, name in names.items():
        known.setdefault(each.casefold(), each)
        if name is not None:
            known.setdefault(name.casefold(), each)
    close = get_close_matches(asked.casefold(), known, n=2 * _MEANT, cutoff=0.5)
    return tuple(dict.fromkeys(known[each] for each in close))[:_MEANT]


def meant(asked: str, names: Mapping[str, str | None]) -> str:
    """The same as the end of a sentence; empty where nothing is like it."""
    told = [f"{each} ({names[each]})" if names[each] else each for each in nearest(asked, names)]
    return f"; nearest: {', '.join(told)}" if told else ""


def unknown_person(what: str, id: str, names: Mapping[str, str | None]) -> UnknownPerson:
    """Says of a record that names somebody unknown what to do."""
    return UnknownPerson(
        f"{what}: nobody knows {id}{meant(id, names)}. Somebody appears with their first token, or by "
        "PUT /v1/people/{id}",
        person=id,
        nearest=list(nearest(id, names)),
    )
