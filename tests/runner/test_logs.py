"""Logs stay small while they are written, and can be followed."""

from __future__ import annotations

import errno
import shutil
from itertools import islice
from pathlib import Path

import pytest

from runner.logs import follow, last_lines, rotate


def test_a_large_log_is_cut_under_its_writer_and_older_ones_move_one_further(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    with log.open("a") as writer:
        for turn in range(5):
            writer.write(f"turn {turn}\n" * 100)
            writer.flush()
            assert rotate(log, largest_bytes=500, kept=3)
            assert log.stat().st_size == 0
        writer.write("after\n")
    assert log.read_text() == "after\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "kafka.log",
        "kafka.log.1",
        "kafka.log.2",
        "kafka.log.3",
    ]
    assert [last_lines(tmp_path / f"kafka.log.{number}", 1) for number in (1, 2, 3)] == [
        ["turn 4"],
        ["turn 3"],
        ["turn 2"],
    ]


def test_a_small_or_missing_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "small.log").write_text("one line\n")
    assert not rotate(tmp_path / "small.log", largest_bytes=500)
    assert not rotate(tmp_path / "missing.log")
    assert [path.name for path in tmp_path.iterdir()] == ["small.log"]


def test_following_gives_whole_new_lines_also_after_the_log_was_cut(tmp_path: Path) -> None:
    log = tmp_path / "sla.log"
    log.write_text("old\n")
    lines = follow([log], poll_seconds=0.01)
    with log.open("a") as file:
        file.write("second\nhal")
    assert next(lines) == ("sla", "second")
    with log.open("a") as file:
        file.write("f\n")
    assert next(lines) == ("sla", "half")
    log.write_text("new\n")
    assert list(islice(lines, 1)) == [("sla", "new")]


def test_a_log_whose_copy_does_not_fit_stays_as_it_is_and_so_do_the_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "sla.log"
    log.write_text("new")
    (tmp_path / "sla.log.1").write_text("old")

    def fill(source: Path, target: Path) -> None:
        target.write_text("n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            rotate(log, largest_bytes=1)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"sla.log": "new", "sla.log.1": "old"}
