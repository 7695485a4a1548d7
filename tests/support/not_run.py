"""What this machine cannot run is left out when tests are collected, and told in the summary; in CI it is an error.

A test says what it needs by the fixture that it takes. With DESK_REQUIRE_ALL=1 nothing is left out that a command could
bring, and a fixture that lacks something fails; a right that no command can give is told there too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.foreign import install
from tests.support import kafka_tools as tools_of_kafka
from tests.support.checkers import are_installed as checkers_are_installed
from tests.support.checkers import run_checker
from tests.support.small_disk import may_mount, mounted

REQUIRE_ALL = "DESK_REQUIRE_ALL"


@dataclass(frozen=True)
class Need:
    """What a fixture needs that not every machine has, and the one command that brings it; empty where none can."""

    fixture: str
    what: str
    command: str
    is_met: Callable[[], bool]


NEEDS = (
    Need(
        "foreign",
        "Node.js with the packages of the foreign consumer",
        "make foreign",
        lambda: bool(install.installed_node()),
    ),
    Need(
        "kafka_tools",
        "Kafka's own tools for rights",
        "python -m tests.support.kafka_tools",
        tools_of_kafka.are_there,
    ),
    Need("checkers", "hadolint and checkov", "make checks", checkers_are_installed),
    Need(
        "small_disk",
        "the right to mount a small file system (root has it, where the machine is one's own)",
        "",
        may_mount,
    ),
)

# What the summary says, from this process or from any worker of xdist: all of them collect the same.
_told: list[str] = []


@pytest.fixture(scope="session")
def foreign() -> Callable[..., Any]:
    """Runs a script of the foreign consumer: `foreign("consume.cjs", bootstrap, prefix).stdout`."""
    if install.installed_node() is None:
        raise install.NotInstalled(f"say `{install.COMMAND}`, which tells why when it cannot")
    return install.run_script


@pytest.fixture(scope="session")
def checkers() -> Callable[..., Any]:
    """Runs a check of the deployment from its own environment: `checkers("hadolint", "deploy/Dockerfile")`."""
    if not checkers_are_installed():
        raise RuntimeError("hadolint and checkov are not installed: say `make checks`")
    return run_checker


@pytest.fixture(scope="session")
def kafka_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `kafka-acls.sh` and `kafka-configs.sh`."""
    return tools_of_kafka.put_into(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def small_disk() -> Callable[..., Any]:
    """A file system to be filled: `with small_disk(size_bytes) as disk`."""
    return mounted


def split(items: list[pytest.Item], needs: tuple[Need, ...]) -> tuple[list[pytest.Item], dict[Need, list[pytest.Item]]]:
    """The tests that can run here, and those that cannot by what they need first."""
    runnable: list[pytest.Item] = []
    waiting: dict[Need, list[pytest.Item]] = {}
    taken = {name for item in items for name in getattr(item, "fixturenames", ())}
    # Whether a need is met may take a trial, so only what somebody needs is asked.
    unmet = [need for need in needs if need.fixture in taken and not need.is_met()]
    for item in items:
        lacking = next((need for need in unmet if need.fixture in getattr(item, "fixturenames", ())), None)
        runnable.append(item) if lacking is None else waiting.setdefault(lacking, []).append(item)
    return runnable, waiting


def line(need: Need, count: int) -> str:
    """What the summary says about tests that were not run."""
    how = f"; to install it: {need.command}" if need.command else ""
    return f"not run: {count} tests that need {need.what}{how}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what lacks something; where everything is required, only what no command could bring."""
    required = os.environ.get(REQUIRE_ALL) == "1"
    items[:], waiting = split(items, tuple(need for need in NEEDS if not (required and need.command)))
    for need, left_out in waiting.items():
        config.hook.pytest_deselected(items=left_out)
        _told.append(line(need, len(left_out)))
    if hasattr(config, "workeroutput"):
        config.workeroutput["not_run"] = [*_told]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of xdist tells what it left out."""
    _told.extend(one for one in getattr(node, "workeroutput", {}).get("not_run", []) if one not in _told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each thing that is missing."""
    if _told:
        terminalreporter.section("not run on this machine")
        for one in _told:
            terminalreporter.write_line(one)
