"""The closing count: waits until every ticket shows all its reactions, counts, and says what does not agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import stamina

from runner.demo.desk import Desk, NotAnswered
from runner.replay.playing import RETRY_SECONDS, Tally
from shared.contracts.devlink import DevTaskLinked
from shared.contracts.inventory import EnvironmentResolved, EnvironmentUnknown
from shared.contracts.sla import SlaClockStarted
from shared.contracts.tickets import (
    TicketAssigned,
    TicketClosed,
    TicketDeescalated,
    TicketEscalated,
    TicketHeld,
    TicketOpened,
    TicketReleased,
    TicketReopened,
    TicketResolved,
)

View = dict[str, Any]

CLOCKS_PER_TICKET = 2
ENDED = ("closed", "cancelled")
ROUND_SECONDS = 0.3
EVENT_OF = {
    "open": TicketOpened.type,
    "assign": TicketAssigned.type,
    "escalate": TicketEscalated.type,
    "de-escalate": TicketDeescalated.type,
    "hold": TicketHeld.type,
    "release": TicketReleased.type,
    "resolve": TicketResolved.type,
    "close": TicketClosed.type,
    "reopen": TicketReopened.type,
}


@dataclass
class Counts:
    """What was asked (`tally`), and what the tickets show of it."""

    tally: Tally = field(default_factory=Tally)
    tickets: int = 0
    environments: Counter[str] = field(default_factory=Counter)
    clocks: int = 0
    clocks_by_state: Counter[str] = field(default_factory=Counter)
    without_two_clocks: int = 0
    escalations_to_development: int = 0
    tasks: int = 0
    without_their_tasks: int = 0
    events: Counter[str] = field(default_factory=Counter)
    unfinished: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    waiting_in: dict[str, set[str]] = field(default_factory=dict)
    queued: Counter[str] = field(default_factory=Counter)
    playing_seconds: float = 0.0
    reacting_seconds: float = 0.0

    def add(self, view: View) -> None:
        """Counts one ticket as it is shown."""
        self.tickets += 1
        self.environments[view["environment"]["state"]] += 1
        self.clocks += len(view["clocks"])
        self.clocks_by_state.update(f"{clock['kind']} {clock['state']}" for clock in view["clocks"])
        self.without_two_clocks += len(view["clocks"]) != CLOCKS_PER_TICKET
        wanted = escalations_to_development(view)
        self.escalations_to_development += len(wanted)
        self.tasks += len(view["tasks"])
        self.without_their_tasks += sorted(wanted) != sorted(task["escalation_id"] for task in view["tasks"])
        self.events.update(entry["type"] for entry in view["history"])
        if missing := missing_of(view):
            self.unfinished.append(f"{view['number']}: {', '.join(missing)}")
        if wrong := self._misplaced(view):
            self.misplaced.append(f"{view['number']}: {wrong}")
        if view["status"] not in ENDED:
            self.waiting_in.setdefault(view["team"], set()).add(view["id"])

    def _misplaced(self, view: View) -> str:
        """What of level, team and assignee is not as the log has it; nothing of a ticket that was not played to its
        end."""
        if (end := self.tally.ends.get(view["id"])) is None:
            return ""
        pairs = [(name, view[name], getattr(end, name)) for name in ("level", "team", "assignee")]
        return ", ".join(f"{name} {found}, by the log {wanted}" for name, found, wanted in pairs if found != wanted)

    def of_queue(self, team: str, tickets: Sequence[str]) -> None:
        """Counts a team's queue as it is listed: of those that were opened here, each is in it once or is told."""
        mine = self.waiting_in[team]
        listed = Counter(one for one in tickets if one in mine)
        self.queued[team] = listed.total()
        self.misplaced += [f"{one}: {listed[one]} times in the queue of {team}" for one in mine if listed[one] != 1]

    def disagreements(self) -> list[str]:
        """Each pair of numbers that must be equal and is not; empty when everything agrees."""
        opened, events = self.tally.opened, self.events
        environments = events[EnvironmentResolved.type] + events[EnvironmentUnknown.type]
        known = self.environments["resolved"] + self.environments["unknown"]
        pairs = [
            ("tickets seen, tickets opened", self.tickets, opened),
            *((f"{event}, accepted", events[event], self.tally.done[kind]) for kind, event in EVENT_OF.items()),
            ("environments, tickets", known, opened),
            ("environment events, tickets", environments, opened),
            ("clocks, two per ticket", self.clocks, CLOCKS_PER_TICKET * opened),
            ("clocks started, two per ticket", events[SlaClockStarted.type], CLOCKS_PER_TICKET * opened),
            ("tickets without two clocks, none", self.without_two_clocks, 0),
            ("tasks, escalations to Development", self.tasks, self.escalations_to_development),
            ("tasks linked, escalations to Development", events[DevTaskLinked.type], self.escalations_to_development),
            ("tickets whose tasks are not their escalations', none", self.without_their_tasks, 0),
            ("tickets that are not where the log has them, none", len(self.misplaced), 0),
            ("tickets in queues, open tickets", self.queued.total(), sum(map(len, self.waiting_in.values()))),
            ("unfinished tickets, none", len(self.unfinished), 0),
            ("failed incidents, none", len(self.tally.failures), 0),
        ]
        return [f"{what}: {found} ≠ {expected}" for what, found, expected in pairs if found != expected]


def escalations_to_development(view: View) -> list[str]:
    """The ids of the ticket's escalations to Development, from its history."""
    return [
        entry["data"]["escalation_id"]
        for entry in view["history"]
        if entry["type"] == TicketEscalated.type and entry["data"]["target"] == "development"
    ]


def missing_of(view: View) -> list[str]:
    """Which reactions the ticket does not show yet."""
    missing = []
    if view["environment"]["state"] == "pending":
        missing.append("environment")
    if len(view["clocks"]) < CLOCKS_PER_TICKET:
        missing.append("clocks")
    elif view["status"] in ("resolved", "closed"):
        missing += [f"end of {clock['kind']}" for clock in view["clocks"] if clock["state"] not in ("met", "stopped")]
    linked = {task["escalation_id"] for task in view["tasks"] if task["display_id"] is not None}
    missing += ["task" for escalation in escalations_to_development(view) if escalation not in linked]
    return missing


@dataclass
class Counting:
    """Looks at tickets until all have reacted; gives up only when nothing moves for `stall_seconds`."""

    desk: Desk
    counts: Counts
    concurrency: int
    stall_seconds: float
    changed: Callable[[int, int], None]

    async def count(self, ids: Sequence[str]) -> None:
        """Counts every ticket once: when it has reacted, or, after a standstill, as it is."""
        waiting = list(ids)
        loop = asyncio.get_running_loop()
        missing, moved_at = -1, loop.time()
        while waiting:
            waiting, now_missing = await self._round(waiting, final=False)
            self.changed(len(ids) - len(waiting), len(ids))
            if now_missing != missing:
                missing, moved_at = now_missing, loop.time()
            elif loop.time() - moved_at > self.stall_seconds:
                await self._round(waiting, final=True)
                break
            if waiting:
                await asyncio.sleep(ROUND_SECONDS)
        for team in sorted(self.counts.waiting_in):
            self.counts.of_queue(team, await self._queue(team))

    async def _round(self, ids: list[str], *, final: bool) -> tuple[list[str], int]:
        """Looks at the tickets, the oldest first; which still wait, and a number that changes when something moved.

        Reactions come in the order of their causes: where a few have not come, the rest is not asked in this round.
        """
        left: list[str] = []
        missing = 0
        queue = iter(ids)

        async def take() -> None:
            nonlocal missing
            for ticket in queue:
                view = await self._look(ticket) if final or len(left) < 4 * self.concurrency else None
                found = missing_of(view) if view is not None else []
                if view is not None and (final or not found):
                    self.counts.add(view)
                else:
                    left.append(ticket)
                    missing += len(found)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.concurrency):
                group.create_task(take())
        kept = set(left)
        return [ticket for ticket in ids if ticket in kept], missing + len(left) * 1_000_000

    @stamina.retry(on=NotAnswered, attempts=None, timeout=RETRY_SECONDS)
    async def _queue(self, team: str) -> list[str]:
        """The ids of what is in a team's queue, as it is listed."""
        return [row["id"] async for row in self.desk.every("tickets", "/v1/tickets", "supervisor", team=team)]

    async def _look(self, ticket: str) -> View | None:
        try:
            view: View = await self.desk.get("tickets", f"/v1/tickets/{ticket}", "supervisor")
            if view["history_goes_on"]:
                path = f"/v1/tickets/{ticket}/history"
                view["history"] = [entry async for entry in self.desk.every("tickets", path, "supervisor")]
        except NotAnswered:
            return None
        return view
