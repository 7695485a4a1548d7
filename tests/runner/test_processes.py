"""A pid alone means nothing: processes are known by pid and start."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from runner import processes
from runner.processes import Identity, Program, end_family, read_identity
from tests.support.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores SIGTERM, and has a child of its own.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)",
]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "record.json", tmp_path / "log")
    yield program
    program.kill()


def _spawn(program: Program, command: list[str]) -> Identity:
    program.spawn(command, os.environ, "/")
    assert program.identity is not None
    return program.identity


def test_a_pid_that_was_given_to_another_process_after_a_reboot_is_not_ours() -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert not replace(mine, started=f"another-boot:{mine.started.rpartition(':')[2]}").alive()
    assert not replace(mine, started=f"{mine.started}1").alive()


def test_a_stranger_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    try:
        record = tmp_path / "record.json"
        record.write_text(json.dumps({"pid": stranger.pid, "started": "another-boot:1"}))
        assert not Program(record, tmp_path / "log").take_down_leftover(signal.SIGKILL, 1.0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_next_runner_finds_and_ends_what_a_killed_one_left(program: Program, tmp_path: Path) -> None:
    left = _spawn(program, SLEEP)
    assert Program(program.record, tmp_path / "log").take_down_leftover(signal.SIGTERM, 5.0)
    assert not left.alive()
    assert read_identity(program.record) is None


def test_killing_nothing_keeps_the_record_of_what_an_earlier_runner_left(program: Program, tmp_path: Path) -> None:
    left = _spawn(program, SLEEP)
    successor = Program(program.record, tmp_path / "log")
    successor.kill()
    assert successor.end(signal.SIGTERM, 1.0)
    assert left.alive()
    assert successor.take_down_leftover(signal.SIGKILL, 5.0)
    assert not left.alive()


def test_a_record_cut_short_by_a_crash_names_nobody(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    mine = Identity.of(os.getpid())
    assert mine is not None
    whole = json.dumps(asdict(mine))
    for length in range(len(whole)):
        record.write_text(whole[:length])
        assert read_identity(record) is None
    record.write_text(whole)
    assert read_identity(record) == mine


def test_what_does_not_end_when_asked_is_killed_with_all_that_it_started(program: Program) -> None:
    parent = _spawn(program, STUBBORN)
    wait_until(lambda: program.log.read_text().endswith("\n"))
    child = Identity.of(int(program.log.read_text()))
    assert child is not None
    assert not end_family(parent, signal.SIGTERM, 0.3)
    assert not parent.alive()
    assert not child.alive()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    identity = Identity.of(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity is not None
    assert not identity.alive()
    child.wait()


def test_a_log_is_appended_to_so_that_it_can_be_cut_while_it_is_written(program: Program) -> None:
    for word in ("first", "second"):
        program.spawn([sys.executable, "-c", f"print('{word}')"], os.environ, "/")
        program.end(signal.SIGCONT, 10.0)
    assert program.log.read_text().split() == ["first", "second"]


def test_a_record_that_a_full_disk_does_not_take_costs_no_child_and_is_written_later(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as full:
        full.setattr(processes, "write_private", fill)
        identity = _spawn(program, SLEEP)
        program.keep_record()
        assert program.alive
        assert not program.record.exists()
    assert program.alive
    assert not program.record.exists(), "a question writes nothing"
    program.keep_record()
    assert read_identity(program.record) == identity


def test_a_record_is_written_once_and_not_for_what_has_ended(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = _spawn(program, SLEEP)
    written: list[Path] = []
    monkeypatch.setattr(processes, "write_private", lambda path, _: written.append(path))
    program.keep_record()
    assert written == []
    program.end(signal.SIGKILL, 5.0)
    program.keep_record()
    assert written == []
    assert not identity.alive()


def test_a_child_that_was_gone_before_it_was_known_counts_as_not_recorded(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as gone:
        gone.setattr(Identity, "of", lambda _: None)
        program.spawn(SLEEP, os.environ, "/")
    assert program._child is not None
    try:
        assert not program.record.exists()
        program.identity = Identity.of(program._child.pid)
        program.keep_record()
        assert read_identity(program.record) == program.identity
    finally:
        program.kill()
