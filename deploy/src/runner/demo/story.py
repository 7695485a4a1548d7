"""The main job, step by step: who does what, and which reaction of which service must be seen on the ticket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from runner.demo.choice import PAUSING, Choice, choose
from runner.demo.desk import Desk
from runner.errors import RunnerError
from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.inventory import EnvironmentResolved
from shared.contracts.sla import SlaClockMet, SlaClockPaused, SlaClockResumed, SlaClockStarted
from shared.contracts.tickets import TicketReleased

View = dict[str, Any]
Condition = Callable[[View], bool]

REACTION_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.005
# The way of a task over the board, after it has appeared as new.
BOARD = ("triaged", "in_progress", "in_review", "fixed", "released")
# So long a hold lasts that ends by itself.
HOLD_SECONDS = 1.5
# Whom a ticket calls, and why; what is not here is shown as it is.
CALLED = {"owner": "al contacto", "assignee": "a quien lo tiene", "team": "al equipo"}
BECAUSE = {
    "released": "salió la corrección", "declined": "Desarrollo no lo hace", "tell-client": "falta avisar al cliente",
    "breached": "venció un reloj", "hold-ended": "terminó la espera",
}  # fmt: skip
# When business opens again is said as the clock on the wall of the desk has it.
_WALL = ZoneInfo("America/Argentina/Buenos_Aires")
_DAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")


class ReactionMissing(RunnerError):
    """What had to follow by itself did not come in time."""

    code = "reaction-missing"
    title = "A reaction did not come"


@dataclass(frozen=True)
class Expected:
    """What must become visible on the ticket: in words, the fact that tells it, and how to see it.

    `timed`: it follows from an hour that has come, not from what somebody did.
    """

    what: str
    type: str
    seen: Condition
    shown: Callable[[View], str] | None = None
    timed: bool = False


@dataclass(frozen=True)
class Reaction:
    """What was seen: milliseconds from the answer until visible, and between the two facts as they were recorded."""

    what: str
    visible_ms: float
    recorded_ms: float | None
    timed: bool = False


@dataclass
class Step:
    """One thing that somebody did; `answer_ms` is how long the request took.

    `has_it`: who has the ticket after it and its reactions, in which queue, who keeps the contact, whom it calls.
    """

    persona: str
    did: str
    answer_ms: float
    has_it: str = ""
    reactions: list[Reaction] = field(default_factory=list)


@dataclass
class Trail:
    """What happened so far, and the ticket as it was last seen."""

    steps: list[Step] = field(default_factory=list)
    view: View = field(default_factory=dict)


async def play(desk: Desk, trail: Trail, tell: Callable[[str], None] | None = None) -> None:
    """Plays the whole job and leaves it in `trail`. Raises ReactionMissing after ten seconds without a reaction."""
    story = _Story(desk, trail, tell or _say_nothing)
    choice = await choose(desk)
    await story.find_client(choice)
    await story.open_ticket(choice)
    await story.talk_with_client()
    await story.change_hands(choice)
    await story.wait_for_date()
    task_id = await story.hand_to_development(choice)
    await story.work_on_task(task_id, choice)
    await story.settle(choice)


class _Story:
    def __init__(self, desk: Desk, trail: Trail, tell: Callable[[str], None]) -> None:
        self._desk = desk
        self._trail = trail
        self._tell = tell
        self._ticket = ""
        self._version = 0

    async def find_client(self, choice: Choice) -> None:
        self._tell("buscando al cliente …")
        began = time.perf_counter()
        found = (await self._desk.get("tickets", "/v1/clients", "agent", q=choice.words))["items"]
        took = _milliseconds(began)
        if choice.client_id not in [client["id"] for client in found]:
            raise ReactionMissing(f"GET /v1/clients?q={choice.words} no encuentra a {choice.client_name}.")
        self._trail.steps.append(Step("agent", f"busca «{choice.words}» y encuentra a {choice.client_name}", took))

    async def open_ticket(self, choice: Choice) -> None:
        body = {
            "client_id": choice.client_id,
            "module_id": choice.module_id,
            "kind": "incident",
            "impact": {"operational": 1, "economic": 1},
            "title": f"No se puede usar {choice.module_name}",
            "description": "Desde esta mañana el módulo no responde y la empresa está parada.",
            "reporter": "Mesa de entradas del cliente",
        }
        step = await self._do("agent", "abre el ticket", "tickets", "/v1/tickets", body)
        opened = self._answered
        self._ticket = opened["id"]
        urgency = f"P{opened['priority']}/S{opened['severity']}"
        step.did = f"abre {opened['number']}: {choice.product_name}, {choice.module_name} ({urgency})"
        await self._see(
            step,
            Expected("entorno adjunto", EnvironmentResolved.type, _has_environment, _environment),
            Expected("dos relojes en marcha", SlaClockStarted.type, lambda view: len(view["clocks"]) == 2, _dues),
        )

    async def talk_with_client(self) -> None:
        told = {"channel": "phone", "text": "Tomamos el caso; lo estamos mirando ahora mismo."}
        step = await self._act("agent", "le responde al cliente", "respond", told)
        await self._see(step, Expected("reloj de respuesta cumplido", SlaClockMet.type, _clock("response", "met")))
        asked = {"reason": PAUSING, "note": "¿Qué mensaje exacto aparece en pantalla? El cliente lo manda por correo."}
        step = await self._act("agent", "espera al cliente", "hold", asked)
        paused = Expected("reloj de resolución en pausa", SlaClockPaused.type, _clock("resolution", "paused"), _left)
        await self._see(step, paused)
        step = await self._act("agent", "reanuda: el cliente contestó", "release")
        resumed = Expected(
            "reloj de resolución en marcha", SlaClockResumed.type, _clock("resolution", "running", "closed"), _left
        )
        await self._see(step, resumed)

    async def change_hands(self, choice: Choice) -> None:
        """The contact goes to somebody else, who keeps it; the work goes up, into a queue and out of it."""
        other = (await self._desk.get("tickets", "/v1/me", "supervisor"))["id"]
        handed = {"owner": other, "reason": "Termina mi turno; el cliente espera un llamado hoy."}
        await self._see(await self._act("agent", f"pasa el contacto con el cliente a {other}", "hand-over", handed))
        up = {
            "target": "analysts",
            "reason": "Hace falta mirar los datos.",
            "tried": f"Reiniciar {choice.module_name}: no alcanza.",
        }
        await self._see(await self._act("agent", "escala a analistas; el contacto no cambia", "escalate", up))
        await self._see(await self._take())

    async def _take(self) -> Step:
        """Takes what waits first; where something else does, or in somebody else's queue, this one by its number."""
        team = self._trail.view["team"]
        listed = {"view": "unassigned", "team": team, "sort": "due", "limit": 1}
        waiting = (await self._desk.get("tickets", "/v1/tickets", "analyst", **listed))["items"]
        if [row["id"] for row in waiting] == [self._ticket]:
            step = await self._do("analyst", "pide el próximo de su cola", "tickets", "/v1/take-next", {"team": team})
            if self._answered["id"] == self._ticket:
                return step
        return await self._act("analyst", "toma el ticket", "assign", {})

    async def wait_for_date(self) -> None:
        """A hold that ends by itself at its hour; how fast is counted from then."""
        view = await self._desk.get("tickets", f"/v1/tickets/{self._ticket}")
        began = time.perf_counter()
        wake_at = datetime.fromisoformat(view["server_time"]) + timedelta(seconds=HOLD_SECONDS)
        agreed = {"reason": "agreed-date", "note": "El cliente prueba y avisa.", "wake_at": wake_at.isoformat()}
        step = await self._act("analyst", f"espera a la hora acordada, en {HOLD_SECONDS:g} s", "hold", agreed)
        await asyncio.sleep(max(0.0, began + HOLD_SECONDS - time.perf_counter()))
        self._answered_at = time.perf_counter()
        woken = Expected("vuelve solo, y llama a quien lo tiene", TicketReleased.type, _woken, timed=True)
        await self._see(step, woken)
        tried = {"text": "El cliente probó: sigue igual. Se reproduce con sus datos."}
        await self._see(await self._act("analyst", "anota lo que vio, y no lo llama más", "note", tried))

    async def hand_to_development(self, choice: Choice) -> str:
        """To Development; the id of the task that appears."""
        where = f"{choice.product_name} {choice.product_version}"
        asked = {"target": "development", "reason": f"Reproducido en {where}: falla al iniciar {choice.module_name}."}
        step = await self._act("analyst", "escala a Desarrollo", "escalate", asked)
        await self._see(step, Expected("tarea creada", DevTaskLinked.type, lambda view: len(view["tasks"]) == 1, _task))
        return str(self._trail.view["tasks"][0]["id"])

    async def work_on_task(self, task_id: str, choice: Choice) -> None:
        path = f"/v1/tasks/{task_id}"
        version = (await self._desk.get("devlink", path, "developer"))["version"]
        for status in BOARD:
            body = {"status": status}
            if status == "fixed":
                body["fix_version"] = choice.next_version
            step = await self._do("developer", f"mueve la tarea a {status}", "devlink", f"{path}/move", body, version)
            version = self._answered["version"]
            arrived = Expected(f"el ticket muestra {status}", DevTaskStatusChanged.type, _task_is(status))
            await self._see(step, arrived)

    async def settle(self, choice: Choice) -> None:
        told = {"channel": "phone", "text": f"Salió {choice.next_version} con la corrección."}
        await self._see(await self._act("supervisor", "le avisa al cliente que salió la corrección", "respond", told))
        text = f"Corregido en {choice.product_name} {choice.next_version}; el cliente lo verificó."
        solved = {"code": "error-corregido", "text": text}
        step = await self._act("analyst", "resuelve", "resolve", solved)
        met = Expected("reloj de resolución cumplido", SlaClockMet.type, _clock("resolution", "met"), _left)
        await self._see(step, met)
        await self._see(await self._act("analyst", "cierra", "close"))

    async def _act(self, persona: str, did: str, action: str, body: dict[str, Any] | None = None) -> Step:
        path = f"/v1/tickets/{self._ticket}/{action}"
        return await self._do(persona, did, "tickets", path, body, self._version)

    async def _do(
        self, persona: str, did: str, service: str, path: str, body: dict[str, Any] | None, version: int | None = None
    ) -> Step:
        """One request; `version` is what was last seen of what it changes."""
        self._tell(f"{did} …")
        began = time.perf_counter()
        self._answered = await self._desk.post(service, path, persona, body, version=version)
        self._answered_at = time.perf_counter()
        step = Step(persona, did, (self._answered_at - began) * 1000)
        self._trail.steps.append(step)
        return step

    async def _see(self, step: Step, *expected: Expected) -> None:
        """Looks at the ticket until each of these was seen once, at least once; keeps who has it then."""
        missing = list(expected)
        facts = set(self._answered.get("facts", ()))
        while True:
            view = await self._desk.get("tickets", f"/v1/tickets/{self._ticket}")
            took = _milliseconds(self._answered_at)
            # Whoever acts next has seen this one. What calls somebody is a version of its own.
            self._trail.view, self._version = view, view["version"]
            step.has_it = who_has_it(view)
            for one in [one for one in missing if one.seen(view)]:
                missing.remove(one)
                what = f"{one.what} {one.shown(view)}" if one.shown else one.what
                recorded = recorded_after_ms(view, facts, one.type)
                step.reactions.append(Reaction(what, took, recorded, one.timed))
            if not missing:
                return
            if took > REACTION_SECONDS * 1000:
                raise ReactionMissing(
                    f"No llegó en {REACTION_SECONDS:g} s: {', '.join(one.what for one in missing)}. Ver `desk status` "
                    f"y `desk logs`. / A reaction did not come within {REACTION_SECONDS:g} s."
                )
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def recorded_after_ms(view: View, facts: set[str], type: str) -> float | None:
    """Milliseconds between the recording of a fact and that of the last reaction of this type that it caused.

    None when the history knows no such pair, as for what was done through another service's door.
    """
    causes = [entry for entry in view["history"] if entry["fact_id"] in facts]
    caused = [entry for entry in view["history"] if entry["type"] == type and entry["causation_id"] in facts]
    if not causes or not caused:
        return None
    began = min(_instant(entry["recorded_at"]) for entry in causes)
    ended = max(_instant(entry["recorded_at"]) for entry in caused)
    return (ended - began).total_seconds() * 1000


def who_has_it(view: View) -> str:
    """Who works on a ticket, in whose queue it is, who keeps the contact, and whom it calls: a line each."""
    calls = [
        f"llama {CALLED.get(call['addressee'], call['addressee'])}: {BECAUSE.get(call['reason'], call['reason'])}"
        for call in view["attention"]
    ]
    hands = view["assignee"] or "nadie todavía"
    return "\n".join([hands, f"cola: {view['team']}", f"contacto: {view['owner']}", *calls])


def clock_of(view: View, kind: str) -> dict[str, Any] | None:
    """The ticket's clock of that kind, as the ticket shows it."""
    clocks: Sequence[dict[str, Any]] = view["clocks"]
    return next((clock for clock in clocks if clock["kind"] == kind), None)


def span(seconds: int) -> str:
    """A length as people say it: 3 h 59 min, or 12 min 5 s; negative when overdue."""
    sign, left = ("-" if seconds < 0 else ""), abs(seconds)
    hours, minutes = left // 3600, left % 3600 // 60
    return f"{sign}{hours} h {minutes:02} min" if hours else f"{sign}{minutes} min {left % 60:02} s"


def _say_nothing(_text: str) -> None:
    """For whoever watches the trail instead."""


def left_of(clock: dict[str, Any]) -> str:
    """What is left of a clock as people say it: 3 h 59 min, cerrado hasta el lunes 09:00."""
    if clock["remaining_seconds"] is None:
        return "pendiente"
    left = span(clock["remaining_seconds"])
    if clock["state"] != "closed" or clock["ticking_changes_at"] is None:
        return left
    opens = _instant(clock["ticking_changes_at"]).astimezone(_WALL)
    return f"{left}, cerrado hasta el {_DAYS[opens.weekday()]} {opens:%H:%M}"


def _clock(kind: str, *states: str) -> Condition:
    def holds(view: View) -> bool:
        clock = clock_of(view, kind)
        return clock is not None and clock["state"] in states

    return holds


def _has_environment(view: View) -> bool:
    return bool(view["environment"]["state"] == "resolved")


def _environment(view: View) -> str:
    data = view["environment"]["data"]
    customised = sum(module["nature"] == "customised" for module in data["modules"])
    return f"({data['product_name']} {data['product_version']}, {len(data['modules'])} módulos, {customised} a medida)"


def _dues(view: View) -> str:
    left = [left_of(clock) for kind in ("response", "resolution") if (clock := clock_of(view, kind))]
    return f"(respuesta {left[0]}, resolución {left[1]})"


def _left(view: View) -> str:
    clock = clock_of(view, "resolution")
    return f"(quedan {left_of(clock)})" if clock else ""


def _task(view: View) -> str:
    return f"({view['tasks'][0]['display_id']})"


def _task_is(status: str) -> Condition:
    return lambda view: any(task["status"] == status for task in view["tasks"])


def _woken(view: View) -> bool:
    return view["hold"] is None and any(call["reason"] == "hold-ended" for call in view["attention"])


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _milliseconds(since: float) -> float:
    return (time.perf_counter() - since) * 1000
