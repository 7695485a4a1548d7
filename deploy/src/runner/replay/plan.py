"""What the desk is asked to do for an incident of a log: its rows read as actions. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runner.replay.log import Incident, Row
from shared.contracts.tickets import HoldReason, Target

ActionKind = Literal["assign", "escalate", "de-escalate", "hold", "release", "resolve", "close", "reopen"]


@dataclass(frozen=True, slots=True)
class Working:
    """Somebody has it: a hold is over."""


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits in a queue; whom the row names has put it there."""


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


Meaning = Working | Queued | Waiting | Settled | Unsaid

# Every pair of status and sub-status of the log of the BPI challenge 2013. A wait that does not say for whom is taken
# as for the client: of a date that was agreed the log would have to tell the date.
MEANINGS: Mapping[tuple[str, str], Meaning] = {
    ("Accepted", "In Progress"): Working(),
    ("Accepted", "Assigned"): Working(),
    ("Queued", "Awaiting Assignment"): Queued(),
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
# Whom each level above the first one stands for.
TARGETS: Mapping[int, Target] = {2: "analysts", 3: "development"}


@dataclass(frozen=True, slots=True)
class Action:
    """One request: what, when in the log's time, and its target, reason, code or person."""

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

    What would say nothing new is left out: a level that it is at already, a hold for the same reason, a person who has
    it. What follows a resolution and is none reopens it.
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
        self._person: str | None = None
        self._held: HoldReason | None = None
        self._settled = False
        self._closed = False

    def read(self, row: Row) -> None:
        match MEANINGS.get((row.status, row.sub_status)):
            case None:
                self.unread.append((row.status, row.sub_status))
            case Unsaid():
                pass
            case Settled() as meaning if self._settled:
                self._close(meaning, row)
            case meaning:
                self._go_on(meaning, row)

    def _go_on(self, meaning: Meaning, row: Row) -> None:
        if self._settled:
            self._add("reopen", row)
            self._settled = self._closed = False
        moves = self._moves(LEVELS.get(row.level, self._level))
        reason = meaning.reason if isinstance(meaning, Waiting) else None
        # A hold is left before the ticket goes up or down, and before another hold.
        goes_on = isinstance(meaning, Working | Queued) or reason not in (None, self._held)
        if self._held is not None and (moves or goes_on):
            self._add("release", row)
            self._held = None
        for kind, target in moves:
            self._add(kind, row, target)
            self._person = None
        if not isinstance(meaning, Queued):
            self._assign(row)
        if reason is not None and reason != self._held:
            self._add("hold", row, reason)
            self._held = reason
        if isinstance(meaning, Settled):
            self._add("resolve", row, meaning.code)
            self._settled, self._held = True, None
            self._close(meaning, row)

    def _moves(self, level: int) -> list[tuple[ActionKind, str]]:
        """How it comes to that level, a step for each; each return to the third one asks Development again."""
        before, self._level = self._level, level
        if level < before:
            return [("de-escalate", "")] * (before - level)
        return [("escalate", TARGETS[each]) for each in range(before + 1, level + 1)]

    def _assign(self, row: Row) -> None:
        if row.person is not None and row.person != self._person:
            self._add("assign", row, row.person)
            self._person = row.person

    def _close(self, meaning: Settled, row: Row) -> None:
        if meaning.closed and not self._closed:
            self._add("close", row)
            self._closed = True

    def _add(self, kind: ActionKind, row: Row, detail: str = "") -> None:
        self.actions.append(Action(kind, row.at, detail))
