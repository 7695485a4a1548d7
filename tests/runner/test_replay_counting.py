"""The closing count of a replay: what a ticket still waits for, and which numbers must agree."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx2
import pytest

from runner.demo.desk import Desk
from runner.replay.counting import Counting, Counts, missing_of
from runner.replay.playing import End, Tally


def _view(**changes: Any) -> dict[str, Any]:
    """A closed ticket that was escalated to Development once, with all of its reactions."""
    clock = {"state": "met"}
    types = ["ticket.opened", "ticket.resolved", "ticket.closed", "environment.resolved", "dev-task.linked"]
    history = [{"type": f"desk.{kind}.v1", "data": {}} for kind in [*types, *["sla-clock.started"] * 2]]
    escalated = {"target": "development", "escalation_id": "e1"}
    return {
        "id": "t0",
        "number": "T-000001",
        "status": "closed",
        "level": 3,
        "team": "desarrollo",
        "assignee": "registro.r1",
        "environment": {"state": "resolved"},
        "clocks": [clock | {"kind": "response"}, clock | {"kind": "resolution"}],
        "tasks": [{"escalation_id": "e1", "display_id": "DEV-1"}],
        "history_goes_on": False,
        "history": [*history, {"type": "desk.ticket.escalated.v1", "data": escalated}],
    } | changes


def _asked() -> Tally:
    done = Counter({"open": 1, "resolve": 1, "close": 1, "escalate": 1})
    return Tally(done=done, tickets=["t0"], ends={"t0": End(3, "desarrollo", "registro.r1", own=False)})


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
        ({"level": 2}, "tickets that are not where the log has them, none: 1 ≠ 0"),
        ({"team": "analistas"}, "tickets that are not where the log has them, none: 1 ≠ 0"),
        ({"assignee": None}, "tickets that are not where the log has them, none: 1 ≠ 0"),
        ({"history": []}, "desk.ticket.opened.v1, accepted: 0 ≠ 1"),
        ({"history": _view()["history"] * 2}, "desk.ticket.opened.v1, accepted: 2 ≠ 1"),
    ],
)
def test_what_is_missing_or_doubled_does_not_agree(changes: dict[str, Any], told: str) -> None:
    counts = Counts(_asked())
    counts.add(_view(**changes))
    assert [line for line in counts.disagreements() if told in line]


def test_a_ticket_that_is_not_where_the_log_has_it_is_told_and_one_that_was_left_halfway_is_not() -> None:
    counts = Counts(_asked())
    counts.add(_view(team="analistas", assignee=None))
    counts.add(_view(id="t1", team="analistas"))
    assert counts.misplaced == [
        "T-000001: team analistas, by the log desarrollo, assignee None, by the log registro.r1"
    ]


@pytest.mark.parametrize(
    ("listed", "told"), [(["t0", "other"], []), ([], ["t0: 0 times"]), (["t0", "t0"], ["t0: 2 times"])]
)
def test_an_open_ticket_is_once_in_the_queue_of_its_team(listed: list[str], told: list[str]) -> None:
    counts = Counts(_asked())
    counts.add(_view(status="resolved"))
    counts.of_queue("desarrollo", listed)
    assert counts.misplaced == [f"{one} in the queue of desarrollo" for one in told]
    assert [line for line in counts.disagreements() if line.startswith("tickets in queues")] == (
        [] if not told else [f"tickets in queues, open tickets: {len(listed)} ≠ 1"]
    )


async def _count(answers: list[dict[str, Any]], stall_seconds: float) -> Counts:
    """Counts one ticket that is shown as each of the answers in turn, and then as the last for ever."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/history"):
            return httpx2.Response(200, json={"items": _view()["history"], "next": None})
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


async def test_of_a_long_history_every_page_is_counted() -> None:
    counts = await _count([_view(history=_view()["history"][-1:], history_goes_on=True)], 30.0)
    assert counts.disagreements() == []
