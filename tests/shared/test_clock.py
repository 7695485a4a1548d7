"""A clock that a test sets wrong, steadily or in jumps."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Reads it until it has been wrong by as many amounts as are given.
READ = """
from datetime import UTC, datetime
from shared import clock
seen = set()
while len(seen) < {many}:
    before, told, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    if (after - before).total_seconds() < 0.01:
        seen.add(round((told - before).total_seconds(), 1))
print(sorted(seen))
"""


@pytest.mark.parametrize(
    ("given", "wrong_by"), [(None, [0.0]), ("1.5", [1.5]), ("+1.5,-1.2,0", [-1.2, 0.0, 1.5])], ids=str
)
def test_a_process_s_clock_is_wrong_by_what_it_is_given_in_turn(given: str | None, wrong_by: list[float]) -> None:
    told = {} if given is None else {"DESK_CLOCK_SKEW_SECONDS": given}
    said = subprocess.run(
        [sys.executable, "-c", READ.format(many=len(wrong_by))],
        env={**os.environ, **told}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout.strip() == str(wrong_by)
