"""The replay plays each incident in its order, loses nothing behind a lost answer, and does nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import stamina

from runner.demo.desk import Desk
from runner.replay.house import Routing
from runner.replay.log import Incident, LogUnreadable, incidents_of
from runner.replay.playing import End, Player, Tally
from tests.runner.incidents import CATALOGUE, HEADER, ROUTING, incident


class FakeTickets:
    """The tickets service as far as a player sees it, with the faults of a network: path of a POST → how it fails."""

    def __init__(self, **faults: str) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.faults = faults
        self.log: list[tuple[str, str]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        # Who has what is opened.
        self.assignee: str | None = None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        _, _, _, *rest = request.url.path.split("/")
        if request.method == "GET":
            return httpx2.Response(200, json=self.views[rest[0]])
        action = rest[1] if rest else "open"
        fault = self.faults.get(action, "")
        if fault != "down":
            self.faults.pop(action, None)
        if fault in ("lost", "down"):
            raise httpx2.ReadTimeout("late")
        if fault == "refused":
            return httpx2.Response(409, json={"code": "action-not-allowed", "detail": "no"})
        if fault == "changed":
            self.views[rest[0]]["version"] += 1
            return httpx2.Response(412, json={"code": "version-changed"})
        if fault == "in progress":
            return httpx2.Response(409, json={"code": "request-in-progress"})
        key = request.headers["idempotency-key"]
        if key not in self.answers:
            self.answers[key] = dict(self._do(action, rest, request))
        if fault == "done":
            return httpx2.Response(503, json={"code": "unavailable"})
        return httpx2.Response(200, json=self.answers[key])

    def _do(self, action: str, rest: list[str], request: httpx2.Request) -> dict[str, Any]:
        if action == "open":
            assert "if-match" not in request.headers
            title = str(httpx2.Response(200, content=request.content).json()["title"])
            view = {
                "id": f"t{len(self.views)}",
                "version": 1,
                "title": title,
                "assignee": self.assignee,
                "team": "mesa",
            }
            self.views[str(view["id"])] = view
        else:
            view = self.views[rest[0]]
            assert request.headers["if-match"] == f'"{view["version"]}"'
            view["version"] = int(str(view["version"])) + 1
            if action == "assign":
                view["assignee"] = httpx2.Response(200, content=request.content).json()["assignee"]
        self.log.append((str(view["id"]), action))
        return view


@pytest.fixture(autouse=True)
def _three_attempts_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


async def _play(service: FakeTickets, *incidents: Incident, **how: Any) -> Tally:
    transport = httpx2.MockTransport(service.answer)
    stop = how.pop("stop", asyncio.Event())
    async with Desk({"tickets": "http://tickets"}, str, transport=transport) as desk:
        routing = how.pop("routing", ROUTING)
        given: dict[str, Any] = {"concurrency": 4, "speed": None, "changed": lambda tally: None} | how
        player = Player(desk, CATALOGUE, routing, "run", stop=stop, **given)
        await player.play(incidents)
    return player.tally


HELD = ("Accepted/Wait - User/L1", "R1! Accepted/In Progress/L2", "R1! Completed/Closed/L2")
STEPS = ["open", "hold", "release", "escalate", "assign", "resolve", "close"]


async def test_each_incident_is_played_in_its_own_order() -> None:
    service = FakeTickets()
    tally = await _play(service, *(incident(str(case), *HELD) for case in range(20)))
    assert tally.done == Counter(dict.fromkeys(STEPS, 20))
    assert tally.ended == tally.opened == 20
    for ticket in service.views:
        assert [action for acted_on, action in service.log if acted_on == ticket] == STEPS


@pytest.mark.parametrize("action", STEPS)
async def test_what_was_done_behind_a_lost_answer_is_sent_again_and_not_done_again(action: str) -> None:
    service = FakeTickets(**{action: "done"})
    tally = await _play(service, incident("7", *HELD))
    assert tally.ambiguous == 1
    assert [done for _, done in service.log] == STEPS
    assert tally.done == Counter(STEPS)


@pytest.mark.parametrize("fault", ["lost", "in progress"])
@pytest.mark.parametrize("action", STEPS)
async def test_what_was_not_done_or_is_being_done_is_sent_again(action: str, fault: str) -> None:
    service = FakeTickets(**{action: fault})
    tally = await _play(service, incident("7", *HELD))
    assert tally.ambiguous == 1
    assert [done for _, done in service.log] == STEPS


async def test_what_the_state_machine_refuses_is_counted_and_the_rest_goes_on() -> None:
    service = FakeTickets(release="refused")
    tally = await _play(service, incident("7", *HELD))
    assert tally.refused == Counter({("release", "action-not-allowed"): 1})
    assert [done for _, done in service.log] == [step for step in STEPS if step != "release"]
    assert not tally.failures


@pytest.mark.parametrize("action", STEPS[1:])
async def test_what_meets_a_ticket_that_was_called_for_meanwhile_is_sent_anew(action: str) -> None:
    service = FakeTickets(**{action: "changed"})
    tally = await _play(service, incident("7", *HELD))
    assert [done for _, done in service.log] == STEPS
    assert (tally.done, tally.ambiguous, tally.refused) == (Counter(STEPS), 0, Counter())


async def test_whoever_has_it_is_not_asked_to_take_it_again() -> None:
    service = FakeTickets()
    service.assignee = "registro.r1"
    tally = await _play(service, incident("7", "R1! Accepted/In Progress/L1", "R2! Accepted/In Progress/L1"))
    assert service.log == [("t0", "open"), ("t0", "assign")]
    assert (tally.done["assign"], service.views["t0"]["assignee"]) == (1, "registro.r2")


async def test_whoever_is_not_of_the_team_is_not_asked_to_take_it_and_is_counted() -> None:
    members = [{"id": "registro.r2", "state": "active"}, {"id": "registro.r1", "state": "inactive"}]
    routing = Routing([dict(team) | {"members": members} for team in ROUTING.teams])
    service = FakeTickets()
    one = incident("7", "R2! Accepted/In Progress/L1", "R1! Accepted/In Progress/L1")
    tally = await _play(service, one, routing=routing)
    assert service.log == [("t0", "open"), ("t0", "assign")]
    assert (tally.strangers, tally.ends["t0"].assignee) == (1, "registro.r2")


async def test_where_a_ticket_must_stand_is_only_said_of_what_was_played_to_its_end() -> None:
    tally = await _play(FakeTickets(), incident("7", *HELD), incident("8", *HELD[:1]), concurrency=1)
    assert tally.ends == {
        "t0": End(level=2, team="analistas", assignee="registro.r1", own=False),
        "t1": End(level=1, team="mesa", assignee=None, own=False),
    }
    failed = await _play(FakeTickets(escalate="down"), incident("7", *HELD))
    assert (failed.opened, failed.ends) == (1, {})


async def test_an_incident_that_cannot_be_opened_fails_alone() -> None:
    service = FakeTickets(open="refused")
    tally = await _play(service, incident("7", *HELD), incident("8", *HELD), concurrency=1)
    assert [failure.split(":")[0] for failure in tally.failures] == ["7"]
    assert (tally.opened, tally.ended) == (1, 2)


async def test_with_a_speed_incidents_run_through_each_other_as_they_did_in_the_log() -> None:
    service = FakeTickets()
    early = incident("7", "Accepted/In Progress/L1", *["Accepted/Assigned/L1"] * 9, "Completed/Closed/L1")
    late = incident("8", "Accepted/In Progress/L1")
    late = replace(late, rows=(replace(late.rows[0], at=early.rows[4].at),))
    await _play(service, late, early, speed=6000.0)
    assert service.log == [("t0", "open"), ("t1", "open"), ("t0", "resolve"), ("t0", "close")]


async def test_an_interrupted_replay_stops_between_two_requests() -> None:
    service = FakeTickets()
    stop = asyncio.Event()

    def changed(tally: Tally) -> None:
        if tally.done["hold"]:
            stop.set()

    incidents = [incident(str(case), *HELD) for case in range(9)]
    tally = await _play(service, *incidents, concurrency=1, stop=stop, changed=changed)
    assert [done for _, done in service.log] == ["open", "hold"]
    assert (tally.opened, tally.ended) == (1, 1)


async def test_a_log_that_breaks_in_the_middle_is_told_as_what_it_is() -> None:
    lines = [
        HEADER,
        "7,2012-05-01T11:00:00+02:00,Accepted,Assigned,A,L1,Low,P,se,R",
        "8,,Accepted,Assigned,A,L1,Low,P,se,R",
    ]
    transport = httpx2.MockTransport(FakeTickets().answer)
    async with Desk({"tickets": "http://tickets"}, str, transport=transport) as desk:
        player = Player(desk, CATALOGUE, ROUTING, "run", 1, None, asyncio.Event(), changed=lambda tally: None)
        with pytest.raises(LogUnreadable):
            await player.play(incidents_of(lines))
