"""The closing count of a replay: what a ticket still waits for, and which numbers must agree."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx2
import pytest

from runner.demo.desk import Desk
from runner.replay.counting import Counting, Counts, missing_of
from runner.replay.playing import Tally


def _view(**changes: Any) -> dict[str, Any]:
    """A closed ticket that was escalated to Development once, with all of its reactions."""
    clock = {"state": "met"}
    types = ["ticket.opened", "ticket.resolved", "ticket.closed", "environment.resolved", "dev-task.linked"]
    history = [{"type": f"desk.{kind}.v1", "data": {}} for kind in [*types, *["sla-clock.started"] * 2]]
    escalated = {"target": "development", "escalation_id": "e1"}
    return {
        "number": "T-000001",
        "status": "closed",
        "environment": {"state": "resolved"},
        "clocks": [clock | {"kind": "response"}, clock | {"kind": "resolution"}],
        "tasks": [{"escalation_id": "e1", "display_id": "DEV-1"}],
        "history": [*history, {"type": "desk.ticket.escalated.v1", "data": escalated}],
    } | changes


def _asked() -> Tally:
    return Tally(done=Counter({"open": 1, "resolve": 1, "close": 1, "escalate": 1}), tickets=["t0"])


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, []),
        ({"environment": {"state": "unknown"}}, []),
        ({"environment": {"state": "pending"}}, ["environment"]),
        ({"clocks": [{"kind": "response", "state": "met"}]}, ["clocks"]),
        ({"clocks": [{"kind": "a", "state": "met"}, {"kind": "b", "state": "breached"}]}, ["end of b"]),
        ({"clocks": [{"kind": "a", "state": "met"}, {"kind": "b", "state": "stopped"}]}, []),
        ({"tasks": []}, ["task"]),
        ({"tasks": [{"escalation_id": "e1", "display_id": None}]}, ["task"]),
    ],
)
def test_a_ticket_says_which_reactions_it_waits_for(changes: dict[str, Any], missing: list[str]) -> None:
    assert missing_of(_view(**changes)) == missing


def test_counts_agree_when_every_ticket_has_all_that_is_its_own() -> None:
    counts = Counts(_asked())
    counts.add(_view())
    assert counts.disagreements() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tasks": [{"escalation_id": "e1", "display_id": "DEV-1"}] * 2}, "tasks, escalations to Development: 2 ≠ 1"),
        ({"tasks": [{"escalation_id": "e2", "display_id": "DEV-1"}]}, "tickets whose tasks are not their escalations"),
        ({"clocks": [{"kind": "response", "state": "met"}] * 3}, "clocks, two per ticket: 3 ≠ 2"),
        ({"environment": {"state": "pending"}}, "environments, tickets: 0 ≠ 1"),
        ({"history": []}, "desk.ticket.opened.v1, accepted: 0 ≠ 1"),
        ({"history": _view()["history"] * 2}, "desk.ticket.opened.v1, accepted: 2 ≠ 1"),
    ],
)
def test_what_is_missing_or_doubled_does_not_agree(changes: dict[str, Any], told: str) -> None:
    counts = Counts(_asked())
    counts.add(_view(**changes))
    assert [line for line in counts.disagreements() if told in line]


async def _count(answers: list[dict[str, Any]], stall_seconds: float) -> Counts:
    """Counts one ticket that is shown as each of the answers in turn, and then as the last for ever."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=answers.pop(0) if len(answers) > 1 else answers[0])

    counts = Counts(_asked())
    async with Desk({"tickets": "http://tickets"}, str, transport=httpx2.MockTransport(answer)) as desk:
        await Counting(desk, counts, 2, stall_seconds, lambda finished, of: None).count(["t0"])
    return counts


async def test_a_reaction_that_comes_late_is_waited_for() -> None:
    counts = await _count([_view(tasks=[]), _view(tasks=[], environment={"state": "pending"}), _view()], 30.0)
    assert counts.disagreements() == []


async def test_a_reaction_that_never_comes_is_told_after_a_standstill() -> None:
    counts = await _count([_view(tasks=[])], 0.0)
    assert counts.unfinished == ["T-000001: task"]
    assert "unfinished tickets, none: 1 ≠ 0" in counts.disagreements()
