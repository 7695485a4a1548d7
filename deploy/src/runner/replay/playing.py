"""Plays incidents through the APIs: many at once, each strictly in its order, and nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import stamina

from runner.demo.desk import Desk, Document, NotAnswered, Refused
from runner.errors import RunnerError
from runner.replay.catalogue import Catalogue
from runner.replay.hands import hands_of
from runner.replay.house import Routing, team_id
from runner.replay.log import Incident
from runner.replay.plan import Action, Plan, plan_of

RETRY_SECONDS = 60.0
CONFLICT = 409
CHANGED = 412
# So often an action is sent anew to a ticket that changed meanwhile.
LOOKS_AGAIN = 5
# So many incidents in a row without an answer, and the system is gone: going on would only take hours to say so.
LOST_IN_A_ROW = 8

# By whom each action is taken: waiting and releasing is talking with the client; what went up is the analysts'.
_PERSONA_OF = {
    "assign": "supervisor", "escalate": "analyst", "de-escalate": "analyst", "hold": "agent", "release": "agent",
    "resolve": "analyst", "close": "agent", "reopen": "agent",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class End:
    """Where a ticket must stand when its incident was played to the end, by the log and by who covers what.

    `own` is whether the team is the one that the log says.
    """

    level: int
    team: str
    assignee: str | None
    own: bool


@dataclass
class Tally:
    """What happened so far. `done` and `refused` count by action, `refused` with the problem's code beside it.

    `ends` says of each ticket that was played to its end where it must stand.
    """

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    tickets: list[str] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)
    # Whom the log names and the team that routing has chosen does not have: so often.
    strangers: int = 0
    ended: int = 0
    ambiguous: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def opened(self) -> int:
        """How many tickets were opened."""
        return len(self.tickets)


@dataclass
class Player:
    """Plays incidents as if they happened now.

    `run` makes the references of this run unlike those of any other. `speed` is how many seconds of the log pass in one
    second, None for as fast as the system takes it. `concurrency` is how many requests run at once.
    """

    desk: Desk
    catalogue: Catalogue
    routing: Routing
    run: str
    concurrency: int
    speed: float | None
    stop: asyncio.Event
    changed: Callable[[Tally], None]
    tally: Tally = field(default_factory=Tally)
    _lost_in_a_row: int = 0

    async def play(self, incidents: Iterable[Incident]) -> None:
        """Plays them all, or until `stop` is set; an incident that was begun is left after its present request."""
        self._gate = asyncio.Semaphore(self.concurrency)
        try:
            if self.speed is None:
                await self._play_at_once(iter(incidents))
            else:
                await self._play_in_time(sorted(incidents, key=lambda incident: incident.began_at), self.speed)
        except ExceptionGroup as group:
            # What went wrong in one task ended the others; the caller is told the reason and not how it was found.
            raise group.exceptions[0] from group

    async def _play_at_once(self, incidents: Iterator[Incident]) -> None:
        async def take() -> None:
            for incident in incidents:
                if self.stop.is_set():
                    return
                await self._play_incident(incident, _no_wait)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.concurrency):
                group.create_task(take())

    async def _play_in_time(self, incidents: list[Incident], speed: float) -> None:
        if not incidents:
            return
        loop = asyncio.get_running_loop()
        began, first = loop.time(), incidents[0].began_at

        async def wait_until(at: datetime) -> None:
            seconds = (at - first).total_seconds() / speed - (loop.time() - began)
            if seconds > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), seconds)

        async with asyncio.TaskGroup() as group:
            for incident in incidents:
                await wait_until(incident.began_at)
                if self.stop.is_set():
                    return
                group.create_task(self._play_incident(incident, wait_until))

    async def _play_incident(self, incident: Incident, wait_until: Callable[[datetime], Awaitable[None]]) -> None:
        plan = plan_of(incident)
        self.tally.unread.update(plan.unread)
        try:
            ticket = await self._open(incident, plan)
            for place, action in enumerate(plan.actions):
                await wait_until(action.at)
                if self.stop.is_set():
                    return
                ticket = await self._act(ticket, action, f"{self._reference(incident)}/{place}")
            self.tally.ends[ticket["id"]] = self._end(incident)
            self._lost_in_a_row = 0
        except RunnerError as error:
            self._fail(incident, error)
        finally:
            self.tally.ended += 1
            self.changed(self.tally)

    async def _open(self, incident: Incident, plan: Plan) -> Document:
        reference = self._reference(incident)
        place = self.catalogue.place(incident)
        body = {
            "client_id": place.client_id,
            "product_id": place.product_id,
            "module_id": place.module_id,
            "kind": "incident",
            # Both answers of one number have the severity of that number.
            "impact": {"operational": plan.severity, "economic": plan.severity},
            "title": f"{incident.product}: incidente {reference}",
            "description": f"Registro real, equipo {incident.rows[0].team}, impacto {incident.impact}.",
            "reporter": f"Usuario de {incident.country}",
        }
        ticket = await self._surely("/v1/tickets", "agent", body, None, reference)
        self.tally.tickets.append(ticket["id"])
        self._count("open")
        return ticket

    def _end(self, incident: Incident) -> End:
        place = self.catalogue.place(incident)

        def fits(level: int, person: str) -> bool:
            return self.routing.fits(self.routing.team_of(level, place), person)

        hands = hands_of(incident, fits)
        team = self.routing.team_of(hands.level, place)
        return End(hands.level, team, hands.assignee, own=team == team_id(hands.level, hands.team))

    async def _act(self, ticket: Document, action: Action, key: str) -> Document:
        """The ticket after the action, or as it was when its state refuses the action or has it so already.

        Whom the log names and the ticket's team does not have is not asked to take it.
        """
        if action.kind == "assign":
            if not self.routing.fits(ticket["team"], action.detail):
                self.tally.strangers += 1
                return ticket
            if ticket["assignee"] == action.detail:
                return ticket
        for attempt in range(LOOKS_AGAIN):
            try:
                after = await self._send(ticket, action, f"{key}/{attempt}")
            except Refused as error:
                if error.status == CHANGED:
                    # A clock or a task called somebody meanwhile: that is a version, and changes nothing here.
                    ticket = await self.desk.get("tickets", f"/v1/tickets/{ticket['id']}")
                    continue
                if error.status != CONFLICT:
                    raise
                self.tally.refused[action.kind, error.problem] += 1
                return ticket
            self._count(action.kind)
            return after
        raise RunnerError(f"{ticket['number']} changes faster than it can be looked at.")

    async def _send(self, ticket: Document, action: Action, key: str) -> Document:
        path = f"/v1/tickets/{ticket['id']}/{action.kind}"
        return await self._surely(path, _PERSONA_OF[action.kind], body_of(action), ticket["version"], key)

    async def _surely(self, path: str, persona: str, body: Document, version: int | None, key: str) -> Document:
        """Sends until it is answered. What was done already is not done again under its key, and answers the same."""
        async for attempt in stamina.retry_context(on=NotAnswered, attempts=None, timeout=RETRY_SECONDS):
            with attempt:
                async with self._gate:
                    try:
                        answer: Document = await self.desk.post(
                            "tickets", path, persona, body, version=version, key=key
                        )
                    except NotAnswered as error:
                        self.tally.ambiguous += error.ambiguous
                        raise
                    return answer
        raise AssertionError("stamina ends with an answer or with the last error")

    def _reference(self, incident: Incident) -> str:
        return f"{incident.case}/{self.run}"

    def _count(self, kind: str) -> None:
        self.tally.done[kind] += 1
        self.changed(self.tally)

    def _fail(self, incident: Incident, error: RunnerError) -> None:
        self.tally.failures.append(f"{incident.case}: {error.message}")
        self._lost_in_a_row = self._lost_in_a_row + 1 if isinstance(error, NotAnswered) else 0
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            self.stop.set()


def body_of(action: Action) -> Document:
    """The body of the request for an action."""
    bodies: dict[str, Document] = {
        "escalate": {"target": action.detail, "reason": "Según el registro, lo toma el nivel siguiente."},
        "hold": {"reason": action.detail, "note": "Según el registro, se espera."},
        "resolve": {"code": action.detail, "text": "Según el registro, quedó resuelto."},
        "assign": {"assignee": action.detail},
        "de-escalate": {"reason": "Según el registro, vuelve al nivel anterior."},
        "reopen": {"reason": "Según el registro, no estaba resuelto."},
    }
    return bodies.get(action.kind, {})


async def _no_wait(_at: datetime) -> None:
    """As fast as the system takes it."""
