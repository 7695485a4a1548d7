"""Who works there, as a log tells it: its people, and of its teams those that do the most. Pure: no network."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from runner.replay.catalogue import Catalogue, Place
from runner.replay.log import OF_THE_LOG, Incident
from runner.replay.plan import LEVELS, MEANINGS, TARGETS, Queued

CALL_CENTRE = "call-centre"
# A log has hundreds of teams, a desk has a few; what the others did is done by whoever covers the place.
MOST_TEAMS = 12
MOST_MEMBERS = 190
MOST_COVERED = 500
LONGEST_ID = 40

# Client and product.
Pattern = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Team:
    """A team of the log: of which target, which places it has by most of their rows, and who had incidents there."""

    id: str
    target: str
    members: tuple[str, ...]
    covers: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class House:
    """Everybody who had an incident of a log, and its greatest teams, sorted by id."""

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
    seen = _Seen()
    for incident in incidents:
        seen.look(incident, catalogue.place(incident))
    great = {team: level for level, counted in seen.rows.items() for team in _most(counted, MOST_TEAMS)}
    covers: dict[str, list[Pattern]] = defaultdict(list)
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for (level, place), counted in sorted(seen.at.items()):
        # Where none of them has been, the greatest of the level takes it.
        here = Counter({team: n for team, n in counted.items() if great.get(team) == level}) or seen.rows[level]
        (team,) = _most(here, 1)
        if len(covers[team]) < MOST_COVERED:
            covers[team].append(place)
            members[team].update(seen.had[level, place])
    teams = [
        Team(team, target_of(level), tuple(sorted(_most(members[team], MOST_MEMBERS))), tuple(covers[team]))
        for team, level in sorted(great.items())
    ]
    return House(tuple(sorted(seen.people)), tuple(teams))


class _Seen:
    """Rows of each team by level; and at each place on each level, those of each team and of whoever had it there."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.rows: dict[int, Counter[str]] = defaultdict(Counter)
        self.at: dict[tuple[int, Pattern], Counter[str]] = defaultdict(Counter)
        self.had: dict[tuple[int, Pattern], Counter[str]] = defaultdict(Counter)

    def look(self, incident: Incident, place: Place) -> None:
        level, pattern = 1, (place.client_id, place.product_id)
        for row in incident.rows:
            level = LEVELS.get(row.level, level)
            team = team_id(level, row.team)
            self.rows[level][team] += 1
            self.at[level, pattern][team] += 1
            # Whoever puts it into a queue need not be of the team whose queue that is.
            if row.person is not None and not isinstance(MEANINGS.get((row.status, row.sub_status)), Queued):
                self.people.add(row.person)
                self.had[level, pattern][row.person] += 1


def _most(counted: Counter[str], many: int) -> list[str]:
    """The most frequent ones; of equal ones the first by name."""
    return sorted(counted, key=lambda one: (-counted[one], one))[:many]


@dataclass(frozen=True)
class Routing:
    """Which team takes what, by what the teams say that they cover; read once, and asked without the desk."""

    teams: Sequence[Mapping[str, Any]]

    def fits(self, team: str, person: str) -> bool:
        """Whether that team's work may be given to somebody: to its members, or to anybody while it has none."""
        return not self._members[team] or person in self._members[team]

    @cached_property
    def _members(self) -> Mapping[str, set[str]]:
        return {
            team["id"]: {member["id"] for member in team["members"] if member["state"] == "active"}
            for team in self.teams
        }

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
