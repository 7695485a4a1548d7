"""Steps of coming up: each after what it needs, the others beside it."""

from __future__ import annotations

import threading

import pytest

from runner.steps import Plan, Step, StepFailed


def test_steps_that_do_not_need_one_another_run_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    def meet() -> None:
        together.wait()

    Plan([Step("jars", meet), Step("database", meet)]).run()


def test_a_step_runs_after_all_that_it_needs() -> None:
    order: list[str] = []
    names = ["migrate", "postgres", "topics", "kafka", "service"]
    needs = {"migrate": ["postgres"], "topics": ["kafka"], "service": ["migrate", "topics"]}
    steps = [Step(name, lambda name=name: order.append(name), needs.get(name, [])) for name in names]  # type: ignore[misc]
    Plan(steps).run()
    assert sorted(order) == sorted(names)
    for name, needed in needs.items():
        assert all(order.index(name) > order.index(each) for each in needed)


def test_a_failure_is_told_by_its_step_and_what_needed_it_never_runs() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise ValueError("no disk")

    plan = Plan([Step("postgres", fail), Step("migrate", lambda: ran.append("migrate"), ["postgres"])])
    with pytest.raises(StepFailed, match="postgres: no disk"):
        plan.run()
    assert ran == []
    assert [status.state for status in plan.statuses()] == ["failed", "waiting"]


def test_steps_in_a_circle_are_refused_and_unknown_needs_too() -> None:
    with pytest.raises(ValueError, match="circle"):
        Plan([Step("a", lambda: None, ["b"]), Step("b", lambda: None, ["a"])]).run()
    with pytest.raises(ValueError, match="no step"):
        Plan([Step("a", lambda: None, ["missing"])])


def test_what_a_step_returns_is_shown_beside_it() -> None:
    plan = Plan([Step("jars", lambda: "46 jars match the lock")])
    plan.run()
    assert [(status.state, status.detail) for status in plan.statuses()] == [("done", "46 jars match the lock")]
