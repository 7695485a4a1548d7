"""Where there is no engine `make verify-containers` says so and fails: never a silent pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import ROOT


def test_without_an_engine_it_says_so_and_how_to_get_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.containers"],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no Docker engine" in done.stdout
    assert "apt-get install" in done.stdout


def test_nothing_that_needs_an_engine_is_run_without_being_asked_for() -> None:
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/containers"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    assert "deselected" in done.stdout
