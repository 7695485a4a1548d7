"""Who works there, as a log tells it: its people, and of its teams those that do the most. Pure: no network."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.replay.catalogue import Catalogue, Place
from runner.replay.log import OF_THE_LOG, Incident
from runner.replay.plan import LEVELS, TARGETS

CALL_CENTRE = "call-centre"
# A log has hundreds of teams, a desk has a few; what the others did is done by whoever covers the place.
MOST_TEAMS = 8
MOST_MEMBERS = 190
MOST_COVERED = 500
LONGEST_ID = 40

# Client and product.
Pattern = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Team:
    """A team of the log: of which target, who was named in its rows, and which places it has by most of their rows."""

    id: str
    target: str
    members: tuple[str, ...]
    covers: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class House:
    """Everybody whom a log names, and its greatest teams, sorted by id."""

    people: tuple[str, ...]
    teams: tuple[Team, ...]


def team_id(level: int, team: str) -> str:
    """The id of a log's team on a level, unlike that of any team that somebody made by hand."""
    said = re.sub(r"[^a-z0-9]+", "-", team.lower()).strip("-") or "sin-nombre"
    return f"{OF_THE_LOG}-l{level}-{said}"[:LONGEST_ID].rstrip("-")


def target_of(level: int) -> str:
    """For whom a level stands."""
    return TARGETS.get(level, CALL_CENTRE)


def house_of(incidents: Iterable[Incident], catalogue: Catalogue) -> House:
    """The house of a log: the same for the same incidents, whatever their order."""
    rows: dict[int, Counter[str]] = defaultdict(Counter)
    at: dict[tuple[int, Pattern], Counter[str]] = defaultdict(Counter)
    named: dict[str, Counter[str]] = defaultdict(Counter)
    people: set[str] = set()
    for incident in incidents:
        place = catalogue.place(incident)
        level = 1
        for row in incident.rows:
            level = LEVELS.get(row.level, level)
            team = team_id(level, row.team)
            rows[level][team] += 1
            at[level, (place.client_id, place.product_id)][team] += 1
            if row.person is not None:
                people.add(row.person)
                named[team][row.person] += 1
    great = {team: level for level, counted in rows.items() for team in _most(counted, MOST_TEAMS)}
    covers: dict[str, list[Pattern]] = defaultdict(list)
    for (level, place_of), counted in at.items():
        if own := _most(Counter({team: n for team, n in counted.items() if great.get(team) == level}), 1):
            covers[own[0]].append(place_of)
    teams = [
        Team(
            id=team,
            target=target_of(level),
            members=tuple(sorted(_most(named[team], MOST_MEMBERS))),
            covers=tuple(sorted(covers[team])[:MOST_COVERED]),
        )
        for team, level in sorted(great.items())
    ]
    return House(tuple(sorted(people)), tuple(teams))


def _most(counted: Counter[str], many: int) -> list[str]:
    """The most frequent ones; of equal ones the first by name."""
    return sorted(counted, key=lambda one: (-counted[one], one))[:many]


@dataclass(frozen=True)
class Routing:
    """Which team takes what, by what the teams say that they cover; read once, and asked without the desk."""

    teams: Sequence[Mapping[str, Any]]

    def team_of(self, level: int, place: Place) -> str:
        """The team of a level with the most specific pattern that fits: client before module before product.

        Raises KeyError where no team covers everything, which a desk does not allow.
        """
        asked = {"client_id": place.client_id, "module_id": place.module_id, "product_id": place.product_id}
        fitting: dict[tuple[bool, ...], str] = {}
        for team in self.teams:
            if team["retired"] or team["target"] != target_of(level):
                continue
            for pattern in team["covers"]:
                if all(pattern[name] in (None, value) for name, value in asked.items()):
                    fitting[tuple(pattern[name] is not None for name in asked)] = team["id"]
        if not fitting:
            raise KeyError(target_of(level))
        return fitting[max(fitting)]
