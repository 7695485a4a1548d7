"""How many tickets are accepted: by the api alone beside two floors, and while every service reacts to them."""

from __future__ import annotations

import time

from tests.load.figures import Cell, Table, middle, percentile
from tests.load.generator import Closed, call
from tests.load.loops import PLAIN, compare
from tests.load.machine import cpu_of
from tests.load.scene import WARM_UP_SECONDS, Options, Scene


def measure_opening(scene: Scene, options: Options) -> list[Table]:
    """Tickets accepted per second while nothing else runs, beside the same rows by hand and an empty route."""
    floors = [
        scene.floor(PLAIN, scene.openings("/plain/tickets"), 201),
        scene.floor("empty route", scene.openings("/empty"), 201),
    ]
    scene.run_api_alone()
    products = [
        scene.product(scene.openings(), 201),
        scene.product(scene.openings(keyed=False), 201, "PSA Desk without key"),
    ]
    subjects = [*products, *floors]
    table = compare(scene, options, "opened: tickets accepted, two processes, nothing reacts meanwhile", subjects)
    table.notes.append(
        "plain asyncpg writes the four rows of an opening without an Idempotency-Key (which is a fifth row and a "
        "look-up), one statement each, reads no reference data and answers three fields"
    )
    return [table]


def measure_sustained(scene: Scene, options: Options) -> list[Table]:
    """Tickets accepted per second while every service reacts on the same cores, and how long the rest took."""
    scene.run_everything()
    scene.arrive(rate=10, seconds=WARM_UP_SECONDS)
    table = Table(
        "sustained: tickets accepted while everything reacts, and finished",
        (
            "concurrency",
            "accepted",
            "accepted/s",
            "p50 ms",
            "p99 ms",
            "finished after s",
            "finished/s",
            "CPU ms/op",
            "waiting, first half",
            "second half",
        ),
        notes=[
            "finished/s: all tickets by the time from the first request until the last has environment and clocks",
            "waiting: tickets that are opened and not yet finished, every half second from the first one on while the "
            "callers call; median",
            "CPU ms/op: all processes of all services for each ticket, until it is finished",
        ],
    )
    parts = Table(
        "sustained: CPU ms of each part for each ticket, until it is finished",
        ("service", "part", *[f"at {callers}" for callers in options.concurrency]),
        notes=["with more at once the batches of the consumers grow, and a ticket costs less"],
    )
    columns = []
    for callers in options.concurrency:
        row, costs = _sustain(scene, callers, options.loop_seconds * options.rounds)
        table.rows.append(row)
        columns.append(costs)
    parts.rows = [(*part, *[costs[part] for costs in columns]) for part in columns[0]]
    return [table, parts]


def _sustain(scene: Scene, callers: int, seconds: float) -> tuple[tuple[Cell, ...], dict[tuple[str, str], float]]:
    """The row of the table, and CPU milliseconds for each ticket by service and part."""
    part_of = {one.running.pid: (one.service, one.part) for one in scene.system.all() if one.running}
    with cpu_of(lambda: part_of) as used, cpu_of(scene.database_processes) as database:
        with scene.backlog() as waiting:
            seen = call(Closed(scene.targets, scene.openings(), callers, seconds, 201))
        answered = time.perf_counter()
        scene.settle()
        # From the first request on: that the callers' process had to start is not the product's affair.
        finished = seen.seconds + time.perf_counter() - answered
    done = max(1, seen.count)
    costs: dict[tuple[str, str], float] = dict.fromkeys(part_of.values(), 0.0)
    for pid, spent in used.by_pid.items():
        costs[part_of[pid]] += spent * 1000 / done
    costs["PostgreSQL", "all"] = database.seconds * 1000 / done
    row = (
        callers, seen.count, seen.count / seen.seconds, percentile(seen.answered, 50), percentile(seen.answered, 99),
        finished, seen.count / finished, used.seconds * 1000 / done, *_halves(waiting),
    )  # fmt: skip
    return row, costs


def _halves(waiting: list[int]) -> tuple[Cell, Cell]:
    """The median of the first half of the samples, and of the second."""
    half = len(waiting) // 2
    return middle(waiting[:half]), middle(waiting[half:])
