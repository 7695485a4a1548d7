"""Log lines on a full disk: nobody who logs is hurt, and what was lost is counted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.steady_output import SteadyOutput


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


def test_what_cannot_be_written_is_lost_counted_and_told_before_the_next_line(tmp_path: Path, file: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    kept = os.dup(file)
    output = SteadyOutput(file)
    output.write("first\n")
    os.dup2(full, file)
    assert output.write("lost\n") == 5
    output.write("lost as well\n")
    os.dup2(kept, file)
    output.write("later\n")
    output.write("last\n")
    first, _, told, later, last = (tmp_path / "log").read_text().splitlines()
    assert (first, later, last) == ("first", "later", "last")
    assert json.loads(told) == {"event": "log lines were lost: they could not be written", "lines": 2}
    for descriptor in (full, kept):
        os.close(descriptor)


def test_what_no_encoding_can_hold_is_written_all_the_same(tmp_path: Path, file: int) -> None:
    SteadyOutput(file).write("a lone \ud800 surrogate\n")
    assert (tmp_path / "log").read_text() == "a lone \\ud800 surrogate\n"


SERVING = """
import logging, sys, structlog
from shared.steady_output import SteadyOutput
from shared.telemetry import logs
logs.configure("tickets", "api", "info", SteadyOutput(sys.stdout.fileno()))
for number in range(200):
    structlog.get_logger("x").info("a line", number=number, filler="x" * 100)
    logging.getLogger("y").warning("a line of a library")
open(sys.argv[1], "x").close()
"""


def test_a_process_whose_log_is_full_goes_on(tmp_path: Path) -> None:
    """The limit of the kernel for this process' files is reached after some lines."""
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", SERVING, str(tmp_path / "done")],
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "done").exists()
    assert (tmp_path / "log").stat().st_size == 8192
