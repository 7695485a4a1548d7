"""Tests that lack something are left out aloud, and where everything is required they are an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.rules.source import ROOT
from tests.support.not_run import Need, split

MET = Need("database", "a database", "make database", lambda: True)
UNMET = Need("moon", "a moon", "make moon", lambda: False)

CONFTEST = """
from tests.support import not_run
not_run.NEEDS = (
    not_run.Need("moon", "a moon", "make moon", lambda: False),
    not_run.Need("crown", "a crown", "", lambda: False),
)
pytest_plugins = ["tests.support.not_run"]
import pytest

@pytest.fixture
def moon():
    raise RuntimeError("there is no moon")

@pytest.fixture
def crown():
    raise RuntimeError("there is no crown")
"""
CASES = """
def test_by_day(): pass
def test_by_night(moon): pass
def test_by_right(crown): pass
"""


def item(*fixtures: str) -> Any:
    """A collected test that takes these fixtures."""
    return SimpleNamespace(fixturenames=list(fixtures))


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A session of pytest of its own over one small file."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_cases.py").write_text(CASES, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    inherited = {name: text for name, text in os.environ.items() if name != "DESK_REQUIRE_ALL" and "XDIST" not in name}
    # Only what is tried here is loaded: a session of pytest with all of its plugins takes seconds to begin.
    own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", *arguments, str(folder)],
        cwd=folder, env={**inherited, **own, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_only_tests_that_lack_something_are_left_out() -> None:
    plain, fed, lunar = item(), item("database"), item("database", "moon")
    assert split([plain, lunar, fed], (MET, UNMET)) == ([plain, fed], {UNMET: [lunar]})


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_was_left_out_is_told_with_the_command_that_brings_it(tmp_path: Path, workers: str) -> None:
    done = run(tmp_path, "-n", workers)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert done.stdout.count("not run: 1 tests that need a moon; to install it: make moon") == 1
    assert done.stdout.count("not run: 1 tests that need a crown\n") == 1


def test_where_everything_is_required_it_is_an_error(tmp_path: Path) -> None:
    done = run(tmp_path, DESK_REQUIRE_ALL="1")
    assert done.returncode == 1, done.stdout
    assert "there is no moon" in done.stdout
    assert "1 error" in done.stdout
    assert "not run: 1 tests that need a moon" not in done.stdout


def test_what_no_command_can_bring_is_told_where_everything_is_required(tmp_path: Path) -> None:
    done = run(tmp_path, DESK_REQUIRE_ALL="1")
    assert "there is no crown" not in done.stdout
    assert done.stdout.count("not run: 1 tests that need a crown\n") == 1
