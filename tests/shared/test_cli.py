"""What goes wrong at `python -m <service>` is one clear line and exit code 1: no traceback unless it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import CHECKOUT

NOBODY = "postgresql://desk:hunter22@127.0.0.1:9/desk"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a bare environment."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DESK_")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        env={**given, "DESK_DATABASE_URL": NOBODY, "DESK_OWNER_DATABASE_URL": NOBODY, **environment},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sla", "migrate"), "sla: A server does not answer: Connect call failed"),
        (("sla", "load", "services/sla/src/sla/defaults.yaml"), "sla: A server does not answer: Connect call failed"),
        (("sla", "messaging", "backlog"), "sla: the database does not answer"),
        (("shared.messaging", "topics"), "Kafka does not answer at 127.0.0.1:9."),
    ],
)
def test_a_server_that_does_not_answer_is_one_line_and_no_password(words: tuple[str, ...], told: str) -> None:
    done = run(*words, DESK_KAFKA_BOOTSTRAP="127.0.0.1:9")
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr
    assert "hunter22" not in done.stdout + done.stderr


def test_with_debug_it_is_shown_where_it_happened() -> None:
    done = run("sla", "migrate", DESK_DEBUG="1")
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)
    assert "hunter22" not in done.stderr


def test_a_role_that_is_not_let_in_is_told_apart_from_a_server_that_is_away(postgres_url: str) -> None:
    where = postgres_url.rpartition("@")[2]
    done = run("sla", "migrate", DESK_OWNER_DATABASE_URL=f"postgresql://nobody:hunter22@{where}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("sla: the database refused it (")
    assert "hunter22" not in done.stdout + done.stderr


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    done = run("sla", "load", str(tmp_path / "missing.yaml"))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert str(tmp_path / "missing.yaml") in done.stderr
