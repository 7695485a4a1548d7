"""Closed loops of several subjects, interleaved, and the table of what each managed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.load.figures import Cell, Table, middle, percentile, ratio
from tests.load.generator import Closed, call
from tests.load.machine import cpu_of
from tests.load.scene import Options, Scene, Subject

COLUMNS = (
    "subject", "concurrency", "per second", "of plain", "p50 ms", "p99 ms", "CPU ms/op", "PostgreSQL ms/op",
    "callers' CPU %", "failed",
)  # fmt: skip
PLAIN = "plain asyncpg"
HOW = (
    "closed loop, rounds interleaved, median of the rounds; the callers are one separate process on the same cores",
    "CPU ms/op: user and system time of the two serving processes for each request that succeeded",
)


@dataclass
class Measured:
    """What the rounds of one subject at one concurrency showed."""

    per_second: list[float] = field(default_factory=list)
    p50: list[float | None] = field(default_factory=list)
    p99: list[float | None] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)
    callers: list[float] = field(default_factory=list)
    failed: int = 0


def compare(scene: Scene, options: Options, title: str, subjects: Sequence[Subject]) -> Table:
    """Every subject at every concurrency, round after round."""
    measured = {(one.name, callers): Measured() for callers in options.concurrency for one in subjects}
    for _ in range(options.rounds):
        for callers in options.concurrency:
            for subject in subjects:
                run_once(scene, subject, callers, options.loop_seconds, measured[subject.name, callers])
    table = Table(title, COLUMNS, notes=list(HOW))
    for (name, callers), one in measured.items():
        plain = measured.get((PLAIN, callers))
        table.rows.append(_row(name, callers, one, middle(plain.per_second) if plain else None))
    return table


def run_once(scene: Scene, subject: Subject, callers: int, seconds: float, measured: Measured) -> None:
    """One round of one subject."""
    plan = Closed(subject.targets, subject.requests, callers, seconds, subject.expected)
    with cpu_of(lambda: subject.pids) as serving, cpu_of(scene.database_processes) as database:
        seen = call(plan)
    done = max(1, seen.count)
    measured.per_second.append(seen.count / seen.seconds)
    measured.p50.append(percentile(seen.answered, 50))
    measured.p99.append(percentile(seen.answered, 99))
    measured.cpu.append(serving.seconds * 1000 / done)
    if scene.database_server is not None:
        measured.database_cpu.append(database.seconds * 1000 / done)
    measured.callers.append(seen.cpu_seconds / seen.seconds * 100)
    measured.failed += seen.failed


def _row(name: str, callers: int, one: Measured, plain: float | None) -> tuple[Cell, ...]:
    rate = middle(one.per_second)
    return (
        name, callers, rate, ratio(rate, plain), middle(one.p50), middle(one.p99), middle(one.cpu),
        middle(one.database_cpu), middle(one.callers), one.failed,
    )  # fmt: skip
