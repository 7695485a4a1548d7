"""Where an incident stands at the end of a log and in whose hands, by its rows alone.

Nothing here knows what the desk was asked to do, so that the closing count can hold one against the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.replay.log import Incident, Row
from runner.replay.plan import LEVELS, MEANINGS, Queued, Settled, Unsaid


@dataclass(frozen=True, slots=True)
class Hands:
    """The level at the end, who has it there (None: it waits in the queue), and the log's own team."""

    level: int
    assignee: str | None
    team: str


def hands_of(incident: Incident, fits: Callable[[int, str], bool]) -> Hands:
    """The last row that says something decides the level, and with it who has it.

    Whoever is named has it, if they may be given work of that level (`fits`), until it goes up; what comes down is the
    last one's who had it there.
    """
    level, has_it, team = 1, None, incident.rows[0].team
    had_it: dict[int, str] = {}
    for row, queued in _telling(incident):
        reached = LEVELS.get(row.level, level)
        if reached != level:
            if has_it is not None:
                had_it[level] = has_it
            has_it = had_it.get(reached) if reached < level else None
        level, team = reached, row.team
        if row.person is not None and not queued and fits(level, row.person):
            has_it = row.person
    return Hands(level, has_it, team)


def _telling(incident: Incident) -> Iterator[tuple[Row, bool]]:
    """The rows that tell where it is, and whether it waits in a queue there: what ends twice has ended once."""
    settled = False
    for row in incident.rows:
        meaning = MEANINGS.get((row.status, row.sub_status))
        ends = isinstance(meaning, Settled)
        if meaning is not None and not isinstance(meaning, Unsaid) and not (settled and ends):
            yield row, isinstance(meaning, Queued)
            settled = ends
