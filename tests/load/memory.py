"""What each process holds in memory after it has worked."""

from __future__ import annotations

from tests.load.figures import Table
from tests.load.machine import memory
from tests.load.scene import Options, Scene


def measure_memory(scene: Scene, options: Options) -> list[Table]:
    """MiB of every process after the arrival of forty tickets a second."""
    scene.run_everything()
    scene.arrive(rate=40, seconds=options.arrival_seconds)
    table = Table(
        "memory: MiB of each process after the run",
        ("service", "part", "resident", "its own"),
        notes=["its own: what no other process shares; resident counts shared pages in every process"],
    )
    totals = [0.0, 0.0]
    for process in scene.system.all():
        if process.running is None:
            continue
        resident, own = memory(process.running.pid)
        table.rows.append((process.service, process.part, resident, own))
        totals = [totals[0] + resident, totals[1] + own]
    table.rows.append(("all", f"{len(table.rows)} processes", *totals))
    return [table]
