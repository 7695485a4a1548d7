"""hadolint and checkov, in an environment of their own (`make checks`), because checkov pins old libraries."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = CHECKOUT / ".venv" / "checks" / "bin"


def are_installed() -> bool:
    """Whether `make checks` has run."""
    return (PROGRAMS / "hadolint").exists() and (PROGRAMS / "checkov").exists()


def run_checker(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the two, at the root of the checkout."""
    return subprocess.run(
        [str(PROGRAMS / program), *arguments],
        cwd=CHECKOUT,
        # Nobody is asked over the network whether there is a newer version or rule.
        env={
            **os.environ,
            "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false",
            "LOG_LEVEL": "ERROR",
            "ANSI_COLORS_DISABLED": "1",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
