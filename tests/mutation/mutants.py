"""Runs mutmut over a copy of a few modules and their tests, and tells which of its changes no test noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.rules.source import ROOT

SURVIVORS = Path(__file__).with_name("survivors.toml")
NOTICED = {"killed", "segfault", "caught by type check"}

CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:xdist", "-p", "no:randomly"]
pytest_add_cli_args_test_selection = {tests}
track_dependencies = false
use_git_change_detection = false
timeout_multiplier = 3.0
timeout_constant = 5.0

[tool.pytest.ini_options]
addopts = ["-m", "not verify"]
markers = ["verify"]
# A loop that no longer ends is noticed by then; no test takes a fifth of it.
timeout = 40
"""
# Every run draws the same examples, and one that fails is not made smaller. A change may make a list grow without end.
CONFTEST = """
import resource
from hypothesis import Phase, settings
phases = [Phase.explicit, Phase.generate]
settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
settings.load_profile("mutants")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
"""


class Mutant(NamedTuple):
    """One change that was made: in which function, which lines, and what they became."""

    function: str
    was: str
    now: str


@dataclass(frozen=True)
class Part:
    """Modules that are changed, by their paths below a package's folder, and the folders of tests that must notice."""

    name: str
    members: tuple[str, ...]
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    minutes: int

    def has(self, mutant: Mutant) -> bool:
        """Whether a change is one of this part's modules."""
        return any(mutant.function.startswith(f"{_dotted(module)}.") for module in self.modules)


def unnoticed(part: Part, folder: Path) -> dict[Mutant, str]:
    """What no test noticed, and what took too long (`timeout`), each with what mutmut calls it.

    It is an error not to be done within the part's minutes.
    """
    _lay_out(part, folder)
    _mutmut(folder, "run", "--max-children", str(os.cpu_count() or 1), seconds=part.minutes * 60)
    states = dict(_states(_mutmut(folder, "results", "--all", "true")))
    assert len(states) > 100, f"mutmut changed hardly anything: {states}"
    return {_mutant(folder, name): state for name, state in states.items() if state not in NOTICED}


def explained() -> dict[Mutant, str]:
    """The changes that change nothing, each with its reason."""
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
    return {Mutant(each["function"], each["was"], each["now"]): each["why"] for each in listed}


def _dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


def _lay_out(part: Part, folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "migrations")
    for member in part.members:
        shutil.copytree(ROOT / member, folder / "src" / Path(member).name, ignore=ignored)
    for tests in part.tests:
        shutil.copytree(ROOT / tests, folder / tests, ignore=ignored)
        for above in Path(tests).parents[:-1]:
            (folder / above / "__init__.py").touch()
    (folder / "tests" / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    modules = [f"src/{module}" for module in part.modules]
    (folder / "pyproject.toml").write_text(
        CONFIGURATION.format(modules=modules, tests=list(part.tests)), encoding="utf-8"
    )


def _mutmut(folder: Path, *arguments: str, seconds: float = 120) -> str:
    process = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=seconds,
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")},
    )  # fmt: skip
    assert process.returncode == 0, (process.stdout + process.stderr)[-3_000:]
    return process.stdout


def _states(told: str) -> Iterator[tuple[str, str]]:
    """`    shared.business_time.zones.x_instants__mutmut_3: survived`, line by line."""
    for line in told.splitlines():
        name, separator, state = line.strip().rpartition(": ")
        if separator and "__mutmut_" in name:
            yield name, state


def _mutant(folder: Path, name: str) -> Mutant:
    shown = _mutmut(folder, "show", name).splitlines()
    changed = [line for line in shown if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    module, _, function = name.rpartition("__mutmut_")[0].rpartition(".")
    spelled = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Mutant(f"{module}.{spelled}", _side(changed, "-"), _side(changed, "+"))


def _side(changed: Sequence[str], mark: str) -> str:
    return " ".join(line[1:].strip() for line in changed if line.startswith(mark))
