"""python -m tests.load [names…]: starts the servers and systems that it needs, measures, prints, and writes JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg

from shared import clock
from shared.telemetry import logs
from tests.load import (
    calendars,
    consuming,
    growing,
    machine,
    memory,
    opening,
    profiling,
    reaction,
    relaying,
    sizes,
    starting,
    timing,
    viewing,
)
from tests.load.figures import Table
from tests.load.scene import Options, Scene
from tests.support import servers
from tests.support.databases import CHECKOUT

RESULTS = CHECKOUT / ".desk" / "bench"
Measure = Callable[[Scene, Options], list[Table]]

# Arithmetic alone, which no server disturbs: first, and where nothing else is asked for none is started.
OF_THE_KERNEL: dict[str, Callable[[], list[Table]]] = {"calendars": calendars.measure_calendars}
# In this order, whatever the order of the names: first with everything running, then with tickets' api alone.
OF_THE_SYSTEM: dict[str, Measure] = {
    "reaction": reaction.measure_reaction,
    "sizes": sizes.measure_sizes,
    "memory": memory.measure_memory,
    "sustained": opening.measure_sustained,
    "views": viewing.measure_views,
    "opened": opening.measure_opening,
    "profile": profiling.measure_profile,
}
# The api of tickets alone, on tickets that nobody opened.
OF_THE_READER: dict[str, Measure] = {"growth": growing.measure_growth}
# These run parts on databases and topics of their own; the system has ended by then.
OF_THE_PARTS: dict[str, Measure] = {
    "timers": timing.measure_timers,
    "relay": relaying.measure_relay,
    "consumer": consuming.measure_consumer,
}
# A whole installation from nothing, beside whatever else is on the machine.
OF_THE_INSTALLATION: dict[str, Measure] = {"up": starting.measure_up}
ALL = (*OF_THE_KERNEL, *OF_THE_SYSTEM, *OF_THE_READER, *OF_THE_PARTS, *OF_THE_INSTALLATION)


def main() -> None:
    """Runs the benchmarks that are named, or all."""
    names, options = _read_arguments()
    logs.configure("bench", "bench", "warning")
    results: dict[str, Any] = {"began_at": clock.now().isoformat(), "options": asdict(options), "benchmarks": {}}
    for name in [each for each in OF_THE_KERNEL if each in names]:
        results["benchmarks"][name] = _run(name, OF_THE_KERNEL[name])
    if not set(names) <= set(OF_THE_KERNEL):
        _run_with_servers(names, options, results)
    print(f"\nwritten to {_write(results).relative_to(CHECKOUT)}")


def _run_with_servers(names: list[str], options: Options, results: dict[str, Any]) -> None:
    with ExitStack() as stack:
        started = servers.start()
        stack.callback(started.stop)
        folder = Path(mkdtemp(prefix="desk-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        results["servers"] = {"origin": started.origin, "postgres": asyncio.run(_settings(started.postgres_url))}
        print(f"on {started.origin}; {results['servers']['postgres']}", file=sys.stderr)
        for group in (OF_THE_SYSTEM, OF_THE_READER, OF_THE_PARTS, OF_THE_INSTALLATION):
            scene = Scene(started, folder)
            with ExitStack() as system:
                system.callback(scene.close)
                for name in [each for each in group if each in names]:
                    results["benchmarks"][name] = _run(name, partial(group[name], scene, options))


def _run(name: str, measure: Callable[[], list[Table]]) -> dict[str, Any]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    before = machine.describe()
    tables = measure()
    after = machine.describe()
    for table in tables:
        print(table.text(), flush=True)
    print(f"   load average {before['load_average'][0]} before, {after['load_average'][0]} after", flush=True)
    return {"machine_before": before, "machine_after": after, "tables": [table.document() for table in tables]}


async def _settings(url: str) -> dict[str, str]:
    """The settings of PostgreSQL that decide what a commit costs."""
    connection = await asyncpg.connect(url)
    try:
        return {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
    finally:
        await connection.close()


def _write(results: dict[str, Any]) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{clock.now():%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + os.linesep, encoding="utf-8")
    return path


def _read_arguments() -> tuple[list[str], Options]:
    usual = Options()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of {', '.join(ALL)}; all when left out")
    parser.add_argument("--rates", type=float, nargs="+", default=usual.rates, help="tickets/s that arrive")
    parser.add_argument("--arrival-seconds", type=float, default=usual.arrival_seconds, help="for each rate")
    parser.add_argument("--concurrency", type=int, nargs="+", default=usual.concurrency, help="callers at once")
    parser.add_argument("--loop-seconds", type=float, default=usual.loop_seconds, help="for each round")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of which the median counts")
    parser.add_argument("--rows", type=int, default=usual.rows, help="events for relay and consumer")
    parser.add_argument("--sizes", type=int, nargs="+", default=usual.sizes, help="tickets at which growth is measured")
    parser.add_argument("--clocks", type=int, default=usual.clocks, help="that run while timers are measured")
    parser.add_argument("--due", type=int, default=usual.due, help="alarms of one instant")
    parser.add_argument("--switched", type=int, default=usual.switched, help="clocks that get another calendar")
    given = parser.parse_args()
    names = given.names or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"no benchmark called {', '.join(unknown)}")
    return names, Options(
        rates=tuple(given.rates),
        arrival_seconds=given.arrival_seconds,
        concurrency=tuple(given.concurrency),
        loop_seconds=given.loop_seconds,
        rounds=given.rounds,
        rows=given.rows,
        sizes=tuple(given.sizes),
        clocks=given.clocks,
        due=given.due,
        switched=given.switched,
    )


if __name__ == "__main__":
    main()
