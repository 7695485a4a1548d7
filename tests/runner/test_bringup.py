"""What is told of a command that prepares something and does not succeed: whether it refused, or failed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner import bringup
from runner.bringup import Crew
from runner.errors import RunnerError
from runner.installation import Installation


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; sys.exit('sla: the database is newer')", "`sla migrate` was refused: sla: the database is newer"),
        ("import time; time.sleep(60)", "`sla migrate` failed: it did not end within 1 s"),
        (
            "import os, signal, sys; print('half a word', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)",
            "`sla migrate` failed: half a word",
        ),
        ("print('a line'); raise SystemExit(3)", "`sla migrate` failed: a line"),
    ],
)
def test_only_a_command_that_ended_by_itself_with_words_has_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str
) -> None:
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(bringup, "ATTEMPTS", 1)
    monkeypatch.setattr(bringup, "COMMAND_WITHIN_SECONDS", 1.0 if "sleep" in program else 60.0)
    crew = Crew(Installation(tmp_path / "state"), lambda _: None)
    with pytest.raises(RunnerError) as refused:
        crew._run("sla-migrate", [sys.executable, "-P", str(tmp_path / "program.py"), "sla", "migrate"], os.environ)
    assert str(refused.value) == f"{told} (log: {tmp_path / 'state' / 'logs' / 'sla-migrate.log'})"
