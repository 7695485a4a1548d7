"""Steps that need one another, run at the same time where they can, each timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from runner.status import StepStatus
from shared.system_errors import explain

Action = Callable[[], str | None]


class StepFailed(Exception):
    """A step did not succeed; the message names it and says why."""


@dataclass(frozen=True)
class Step:
    """One thing to do once all that it `needs` is done. What the action returns is shown beside its name."""

    name: str
    action: Action
    needs: Sequence[str] = ()


class Plan:
    """A set of steps. `statuses` may be read by another thread while they run."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = {step.name: step for step in steps}
        for step in steps:
            if unknown := set(step.needs) - set(self.steps):
                raise ValueError(f"{step.name!r} needs {unknown}, which is no step")
        self._statuses = {step.name: StepStatus(step.name) for step in steps}
        self._began: dict[str, float] = {}
        self._lock = threading.Lock()

    def statuses(self) -> list[StepStatus]:
        """A copy of how far each step is."""
        with self._lock:
            for name, began in self._began.items():
                if self._statuses[name].state == "running":
                    self._statuses[name].seconds = time.monotonic() - began
            return [StepStatus(**vars(status)) for status in self._statuses.values()]

    def run(self) -> None:
        """Run every step. Raises StepFailed at the first failure, once the steps that were running have ended."""
        done: set[str] = set()
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(max(1, len(self.steps))) as together:
            while len(done) < len(self.steps):
                for step in self._due(done, set(running.values())):
                    running[together.submit(self._run_one, step)] = step.name
                if not running:
                    raise ValueError("the steps need one another in a circle")
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    future.result()
                    done.add(name)

    def _due(self, done: set[str], running: set[str]) -> list[Step]:
        waiting = [step for name, step in self.steps.items() if name not in done | running]
        return [step for step in waiting if set(step.needs) <= done]

    def _run_one(self, step: Step) -> None:
        status = self._statuses[step.name]
        began = time.monotonic()
        with self._lock:
            self._began[step.name] = began
            status.state = "running"
        try:
            detail = step.action() or ""
        except Exception as error:
            why = explain(error) if isinstance(error, OSError) else str(error) or type(error).__name__
            with self._lock:
                status.state, status.seconds, status.detail = "failed", time.monotonic() - began, why
            raise StepFailed(f"{step.name}: {why}") from error
        with self._lock:
            status.state, status.seconds, status.detail = "done", time.monotonic() - began, detail
