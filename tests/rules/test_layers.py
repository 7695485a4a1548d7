"""The contracts of import-linter, tried on a small copy of the product: what they forbid, they see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import FOLDERS, ROOT, SERVICES

ROLES = ("api", "subscribers", "jobs", "commands", "projections", "queries", "repository", "tables")


@pytest.fixture
def small_product(tmp_path: Path) -> Path:
    """The members with empty modules, and this repository's own configuration."""
    for member in FOLDERS:
        (tmp_path / member).mkdir()
        (tmp_path / member / "__init__.py").touch()
    for service in SERVICES:
        for name in (*(f"{role}.py" for role in ROLES), "domain/__init__.py"):
            path = tmp_path / service / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


# The copy must win over the installed members, so its folder comes first.
LINT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from importlinter.cli import lint_imports_command
lint_imports_command()
"""


def lint(folder: Path) -> tuple[int, str]:
    """What import-linter says about a copy."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, str(folder), "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_obedient_product_passes(small_product: Path) -> None:
    (small_product / "tickets" / "api.py").write_text(
        "from tickets import commands, queries\nfrom shared import clock\n"
    )
    (small_product / "shared" / "clock.py").touch()
    status, told = lint(small_product)
    assert status == 0, told
    assert "3 kept, 0 broken" in told


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        ("tickets/commands.py", "from sla import queries", "tickets is not allowed to import sla"),
        ("shared/clock.py", "import tickets.tables", "shared is not allowed to import tickets"),
        ("sla/jobs.py", "import runner", "sla is not allowed to import runner"),
        ("sla/tables.py", "from sla import repository", "sla.tables is not allowed to import sla.repository"),
        ("sla/domain/clock.py", "from sla import tables", "sla.domain is not allowed to import sla.tables"),
        ("sla/api.py", "from sla import jobs", "sla.api is not allowed to import sla.jobs"),
        ("sla/drawer.py", "", "sla.drawer"),
    ],
)
def test_a_forbidden_direction_is_seen(small_product: Path, module: str, text: str, expected: str) -> None:
    (small_product / module).write_text(text + "\n")
    status, told = lint(small_product)
    assert status == 1, told
    assert expected in told
