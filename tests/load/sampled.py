"""One part of one service under a sampler: `python -m tests.load.sampled tickets api` counts stacks by CPU time.

A timer of the process's own CPU time raises a signal; its handler walks the stack of what runs. Work in C counts for
the Python function that called it; the event loop's own C code counts for what it calls next.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType

# Without types of its own; SQLAlchemy runs every statement in one.
greenlet = import_module("greenlet")

OUTPUT = "DESK_SAMPLES"
EVERY_SECONDS = 0.004
DEEPEST = 120

Place = tuple[str, str]
samples: Counter[tuple[Place, ...]] = Counter()


def _take(_signal: int, frame: FrameType | None) -> None:
    samples[tuple(_places(frame))] += 1


def _places(frame: FrameType | None) -> Iterator[Place]:
    """The stack from the inside out. A greenlet's stack goes on in the greenlet that started it."""
    running = greenlet.getcurrent()
    for _ in range(DEEPEST):
        while frame is None:
            if running.parent is None:
                return
            running = running.parent
            frame = running.gr_frame
        yield frame.f_code.co_filename, frame.f_code.co_qualname
        frame = frame.f_back


def _write() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    counted = [[count, [list(place) for place in stack]] for stack, count in samples.items()]
    Path(os.environ[OUTPUT]).write_text(json.dumps(counted), encoding="utf-8")


if __name__ == "__main__":
    service = sys.argv[1]
    sys.argv = sys.argv[1:]
    signal.signal(signal.SIGPROF, _take)
    # What is done before the first request is not what a request costs: the caller says when to begin, and begins anew.
    signal.signal(signal.SIGUSR1, lambda *_: samples.clear())
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        runpy.run_module(service, run_name="__main__", alter_sys=True)
    finally:
        _write()
