"""What the desk is asked to do for an incident of a log: its rows read as actions. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runner.replay.log import Incident, Row
from shared.contracts.tickets import HoldReason, Target

ActionKind = Literal["escalate", "hold", "release", "resolve", "close"]


@dataclass(frozen=True, slots=True)
class Working:
    """Somebody has it, or it waits in a queue: a hold is over."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Work rests, for this reason."""

    reason: HoldReason


@dataclass(frozen=True, slots=True)
class Settled:
    """The matter is settled, in this way; `closed` says that nothing more is expected."""

    code: str
    closed: bool


@dataclass(frozen=True, slots=True)
class Unsaid:
    """The row tells nothing about the work."""


Meaning = Working | Waiting | Settled | Unsaid

# Every pair of status and sub-status of the log of the BPI challenge 2013. A wait that does not say for whom is taken
# as for the client: of a date that was agreed the log would have to tell the date.
MEANINGS: Mapping[tuple[str, str], Meaning] = {
    ("Accepted", "In Progress"): Working(),
    ("Accepted", "Assigned"): Working(),
    ("Queued", "Awaiting Assignment"): Working(),
    ("Accepted", "Wait"): Waiting("waiting-for-client"),
    ("Accepted", "Wait - User"): Waiting("waiting-for-client"),
    ("Accepted", "Wait - Customer"): Waiting("waiting-for-client"),
    ("Accepted", "Wait - Vendor"): Waiting("third-party"),
    ("Accepted", "Wait - Implementation"): Waiting("implementations"),
    ("Completed", "Resolved"): Settled("error-corregido", closed=False),
    ("Completed", "In Call"): Settled("capacitacion", closed=True),
    ("Completed", "Closed"): Settled("error-corregido", closed=True),
    ("Completed", "Cancelled"): Settled("sin-respuesta-del-cliente", closed=True),
    ("Unmatched", "Unmatched"): Unsaid(),
}

SEVERITY_OF_IMPACT: Mapping[str, int] = {"Major": 1, "High": 2, "Medium": 3, "Low": 4}
LEAST_SEVERITY = 4

# Teams that are second and third level at once count as second: what they do is not yet Development's.
LEVELS: Mapping[str, int] = {"L1": 1, "L2": 2, "L2/L3": 2, "L3": 3}


@dataclass(frozen=True, slots=True)
class Action:
    """One request: what, when in the log's time, and its target, reason or code."""

    kind: ActionKind
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """An incident as the desk will hear of it, and which of its rows nobody could read."""

    severity: int
    actions: tuple[Action, ...]
    unread: tuple[tuple[str, str], ...] = ()


def plan_of(incident: Incident) -> Plan:
    """The actions of an incident after its opening, in order.

    A log goes back and forth as it pleases; whether the desk accepts each action is for its state machine to say. Only
    what would say nothing new is left out: a level that it is at or above already, a hold for the same reason.
    """
    reading = _Reading()
    for row in incident.rows:
        reading.read(row)
    severity = SEVERITY_OF_IMPACT.get(incident.impact, LEAST_SEVERITY)
    return Plan(severity, tuple(reading.actions), tuple(reading.unread))


class _Reading:
    """Reads rows in order and keeps where the incident is, as the log tells it."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.unread: list[tuple[str, str]] = []
        self._level = 1
        self._target: Target | None = None
        self._held: HoldReason | None = None
        self._settled = False

    def read(self, row: Row) -> None:
        meaning = MEANINGS.get((row.status, row.sub_status))
        if meaning is None:
            self.unread.append((row.status, row.sub_status))
            return
        targets = self._targets(LEVELS.get(row.level, self._level))
        reason = meaning.reason if isinstance(meaning, Waiting) else None
        # A hold is left before the ticket goes up, and before another hold.
        if self._held is not None and (targets or isinstance(meaning, Working) or reason not in (None, self._held)):
            self._add("release", row)
            self._held = None
        for target in targets:
            self._add("escalate", row, target)
            self._target = target
        if reason is not None and reason != self._held:
            self._add("hold", row, reason)
            self._held = reason
        if isinstance(meaning, Working | Waiting):
            self._settled = False
        if isinstance(meaning, Settled):
            self._settle(meaning, row)

    def _targets(self, level: int) -> list[Target]:
        """To whom it must be handed up to reach that level; each return to the third level asks Development again."""
        before, self._level = self._level, level
        if level <= before:
            return []
        analysts: list[Target] = ["analysts"] if self._target is None else []
        return [*analysts, "development"] if level == 3 else analysts

    def _settle(self, meaning: Settled, row: Row) -> None:
        if not self._settled:
            self._add("resolve", row, meaning.code)
        if meaning.closed:
            self._add("close", row)
        self._settled = True
        self._held = None

    def _add(self, kind: ActionKind, row: Row, detail: str = "") -> None:
        self.actions.append(Action(kind, row.at, detail))
