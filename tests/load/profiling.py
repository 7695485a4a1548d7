"""Where the time goes in the api process of tickets, by layer and by function."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from runner.ports import free_port
from tests.load.figures import Table
from tests.load.generator import Closed, call
from tests.load.sampled import OUTPUT
from tests.load.scene import Options, Scene, require_ready
from tests.support.databases import CHECKOUT
from tests.support.system import Process

CALLERS = 8
SHOWN = 60
# What stands in every sample is the process itself.
EVERYWHERE = 0.97
# What a sample's innermost place belongs to; the first that fits. The standard library belongs to its caller.
MEMBERS = {
    "shared/src/shared/http/": "shared.http",
    "shared/src/shared/messaging/": "shared.messaging",
    "shared/src/shared/telemetry/": "shared.telemetry",
    "shared/src/shared/db/": "shared.db",
    "shared/src/shared/contracts/": "shared.contracts",
    "shared/src/shared/": "shared",
    "services/tickets/src/tickets/domain/": "tickets.domain",
    "services/tickets/src/tickets/": "tickets",
    "tests/load/": "sampler",
}

Stack = Sequence[Sequence[str]]


def measure_profile(scene: Scene, options: Options) -> list[Table]:
    """Samples of one api process: while tickets are opened, and while they are viewed."""
    views = scene.views()
    scene.run_api_alone()
    seconds = max(3.0, options.loop_seconds * options.rounds)
    tables = []
    for name, requests, expected in (("opening", scene.openings(), 201), ("view", views, 200)):
        samples, count = _sample(scene, requests, expected, seconds)
        tables += [_by_layer(name, samples, count), _by_function(name, samples)]
    return tables


def _sample(scene: Scene, requests: list[str], expected: int, seconds: float) -> tuple[list[tuple[int, Stack]], int]:
    output = scene.folder / "samples.json"
    process = _Sampled(scene, output)
    process.start()
    try:
        require_ready(process)
        target = [f"127.0.0.1:{process.port}"]
        call(Closed(target, requests, CALLERS, 1.0, expected))
        if process.running is not None:
            process.running.send_signal(signal.SIGUSR1)
        seen = call(Closed(target, requests, CALLERS, seconds, expected))
    finally:
        process.stop()
    return json.loads(output.read_text(encoding="utf-8")), seen.count


class _Sampled(Process):
    """An api process of tickets under the sampler."""

    def __init__(self, scene: Scene, output: Path) -> None:
        port = free_port()
        environment = {**scene.system.environment("tickets"), OUTPUT: str(output)}
        super().__init__("tickets", "api", port, scene.folder / f"sampled-{port}.log", environment)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "tests.load.sampled", "tickets", "api"],
                env={**self.environment, "DESK_PORT": str(self.port)},
                cwd=CHECKOUT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )


def _by_layer(name: str, samples: list[tuple[int, Stack]], count: int) -> Table:
    layers: Counter[str] = Counter()
    for hits, stack in samples:
        layers[_layer(stack)] += hits
    total = max(1, layers.total())
    return Table(
        f"profile of {name}: CPU time of one api process by layer, {CALLERS} callers",
        ("layer", "% of samples"),
        [(layer, hits / total * 100) for layer, hits in layers.most_common()],
        [f"{layers.total():,} samples of CPU time over {count:,} requests; the innermost package that is not the "
         "standard library; C code counts for its caller"],
    )  # fmt: skip


def _by_function(name: str, samples: list[tuple[int, Stack]]) -> Table:
    functions: Counter[str] = Counter()
    total = 0
    for hits, stack in samples:
        total += hits
        # A function that calls itself stands once in a sample.
        for function in {_named(path, called) for path, called in stack}:
            functions[function] += hits
    ranked = [(function, hits) for function, hits in functions.most_common() if hits < total * EVERYWHERE]
    return Table(
        f"profile of {name}: functions with what they call",
        ("function", "% of samples"),
        [(function, hits / total * 100) for function, hits in ranked[:SHOWN]],
    )


def _layer(stack: Stack) -> str:
    for path, _ in stack:
        if (package := _package(path)) is not None:
            return package
    return "standard library"


def _package(path: str) -> str | None:
    if "/site-packages/" in path:
        return path.partition("/site-packages/")[2].partition("/")[0].removesuffix(".py")
    return next((name for part, name in MEMBERS.items() if part in path), None)


def _named(path: str, function: str) -> str:
    if "/site-packages/" in path:
        place = path.partition("/site-packages/")[2]
    else:
        place = path.partition("/src/")[2] or Path(path).name
    return f"{place.removesuffix('.py').replace('/', '.')}:{function}"
