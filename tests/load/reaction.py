"""How long the reactions take, as the person at the desk sees it."""

from __future__ import annotations

from tests.load.figures import Table, histogram, spread
from tests.load.scene import WARM_UP_SECONDS, Options, Scene


def measure_reaction(scene: Scene, options: Options) -> list[Table]:
    """From the intended start of a request until the answer, and until a GET shows environment and both clocks."""
    scene.run_everything()
    scene.arrive(rate=10, seconds=WARM_UP_SECONDS)
    table = Table(
        "reaction: milliseconds from the intended start of opening, open loop",
        ("tickets/s", "until", "tickets", "p50 ms", "p95 ms", "p99 ms", "longest ms", "failed", "unfinished"),
        notes=[
            "arrivals by chance (exponential gaps, fixed seed); nothing waits for the answer of an earlier request",
            "visible: the end of the GET that shows environment and both clocks. One query each 5 ms says which "
            "tickets look complete, only those are asked for: resolution 5 ms and one GET",
            "inventory, sla: their recorded_at minus that of ticket.opened, as the history of the GET tells it",
        ],
    )
    for rate in options.rates:
        seen = scene.arrive(rate, options.arrival_seconds)
        stages = {
            "201": seen.answered,
            "visible": seen.visible,
            "(inventory)": seen.environment,
            "(sla)": seen.clocks,
        }
        for name, values in stages.items():
            longest = max(values, default=None)
            table.rows.append((rate, name, seen.count, *spread(values), longest, seen.failed, seen.unfinished))
            table.histograms[f"{rate:g}/s {name}"] = histogram(values).encode().decode("ascii")
        table.notes.append(f"callers' CPU at {rate:g}/s: {seen.cpu_seconds / seen.seconds * 100:.0f} % of a core")
        if seen.failed:
            table.notes.append(f"refused at {rate:g}/s, number by status: {seen.statuses}")
    return [table]
