"""What a new installation still lacks before tickets find people, clocks and environments; and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tickets.domain.rota import Rota, holes

# A hole that is nearer than this is told while somebody can still fill it.
LOOKS_AHEAD = timedelta(days=14)
_NAMED = 5

Kind = Literal[
    "team-without-members", "team-without-lead", "team-without-rota", "rota-with-hole", "client-without-contract",
    "client-without-installation", "no-calendar",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """A team, a rota or a client."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing, of whom or what, and what to do."""

    kind: Kind
    subjects: tuple[Subject, ...]
    says: str
    action: str


@dataclass(frozen=True, slots=True)
class TeamStanding:
    """A team in use, as far as it can work: `active` counts its members who are."""

    team: Subject
    has_queue: bool
    has_lead: bool
    active: int


@dataclass(frozen=True, slots=True)
class Found:
    """What an installation has, and which of its clients have nothing."""

    teams: Sequence[TeamStanding]
    rotas: Sequence[tuple[Subject, Rota]]
    without_contract: Sequence[Subject]
    without_installation: Sequence[Subject]
    has_calendar: bool


_NO_CALENDAR = Lack(
    "no-calendar",
    (),
    "no calendar has come: nobody can say what is left of a clock that runs, and windows are those of office hours",
    "run `python -m sla migrate`, which loads the shipped ones, and see that the relay of sla runs",
)
_IN_A_FILE = "or in a file with `python -m tickets load FILE`"


def lacks(found: Found, now: datetime) -> Iterator[Lack]:
    """Everything that is missing, in the order in which it is best mended."""
    on_call = {rota.team_id for _, rota in found.rotas}
    yield from _lack(
        "team-without-members",
        (one.team for one in found.teams if not one.active),
        "nobody who is active is in {them}",
        f"name the members with PUT /v1/teams/{{id}}, {_IN_A_FILE}",
    )
    yield from _lack(
        "team-without-lead",
        (one.team for one in found.teams if not one.has_lead),
        "nobody leads {them}",
        f"name the lead, who is one of the members, with PUT /v1/teams/{{id}}, {_IN_A_FILE}",
    )
    yield from _lack(
        "team-without-rota",
        (one.team for one in found.teams if one.has_queue and one.team.id not in on_call),
        "nobody can say who is on call for {them}",
        f"record a rota with PUT /v1/rotas/{{id}}, {_IN_A_FILE}",
    )
    for subject, rota in found.rotas:
        yield from _hole(subject, rota, now)
    if not found.has_calendar:
        yield _NO_CALENDAR
    yield from _lack(
        "client-without-contract",
        found.without_contract,
        "no contract is in force for {them}: their tickets have the targets of básico and the lowest priority",
        "record their contracts in sla with PUT /v1/contracts/{id}, or with `python -m sla load FILE`",
    )
    yield from _lack(
        "client-without-installation",
        found.without_installation,
        "nobody knows what {them} run: their tickets have no environment",
        "record it in inventory with PUT /v1/installations/{id}, or with `python -m inventory load FILE`",
    )


def _lack(kind: Kind, subjects: Iterable[Subject], says: str, action: str) -> Iterator[Lack]:
    told = tuple(subjects)
    if told:
        yield Lack(kind, told, says.format(them=_named(told)), action)


def _hole(subject: Subject, rota: Rota, now: datetime) -> Iterator[Lack]:
    found = holes(rota, now, now + LOOKS_AHEAD)
    if found:
        first = found[0]
        more = f", and {len(found) - 1} times more" if len(found) > 1 else ""
        yield Lack(
            "rota-with-hole",
            (subject,),
            f"in the next {LOOKS_AHEAD.days} days nobody has the first place of {subject.name} from "
            f"{first.from_at:%Y-%m-%d %H:%M} to {first.until_at:%Y-%m-%d %H:%M} UTC{more}",
            "add a shift, or an override for that stretch, with PUT /v1/rotas/{id}",
        )


def _named(subjects: Sequence[Subject]) -> str:
    names = [one.name for one in subjects[:_NAMED]]
    rest = len(subjects) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
