"""Private files on a disk that takes nothing any more: the old one stays, and nothing else does."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.private_files import make_private_once, write_private

WRITES = {
    "write_private": "write_private(Path(sys.argv[1]), 'new' * 100)",
    "make_private_once": "make_private_once(Path(sys.argv[1]), lambda: 'new' * 100)",
}


def write_nothing() -> None:
    """The kernel refuses every write to a file, as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def attempt(statement: str, path: Path) -> subprocess.CompletedProcess[str]:
    program = f"import sys; from pathlib import Path; from runner.private_files import *; {statement}"
    return subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=write_nothing,
    )


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_fails_names_the_file_and_leaves_nothing_beside_it(tmp_path: Path, write: str) -> None:
    done = attempt(WRITES[write], tmp_path / "secret")
    assert done.returncode == 1
    assert f"File too large: '{tmp_path / 'secret'}'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_replacement_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    write_private(tmp_path / "status", "old")
    assert attempt(WRITES["write_private"], tmp_path / "status").returncode == 1
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("status", "old")]


def test_what_is_there_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    assert make_private_once(tmp_path / "secret", lambda: "first") == "first"
    assert attempt(WRITES["make_private_once"], tmp_path / "secret").returncode == 0
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_file_that_its_folder_keeps_private_may_be_read_by_whoever_gets_there(tmp_path: Path) -> None:
    make_private_once(tmp_path / "secret", lambda: "first", 0o444)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o444


def test_a_name_that_is_a_folder_cannot_be_replaced_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "status" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="status") as refused:
        write_private(tmp_path / "status", "new")
    assert (refused.value.filename, refused.value.filename2) == (str(tmp_path / "status"), None)
    assert [each.name for each in tmp_path.iterdir()] == ["status"]


def _make(path: Path) -> str:
    return make_private_once(path, lambda: "new")


def _write(path: Path) -> None:
    write_private(path, "new")


@pytest.mark.parametrize(
    ("write", "refused"), [(_write, "open"), (_write, "replace"), (_make, "open"), (_make, "chmod"), (_make, "link")]
)
def test_what_the_system_refuses_is_told_by_the_name_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object], refused: str
) -> None:
    def refuse(name: object, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(name))

    monkeypatch.setattr(os, refused, refuse)
    with pytest.raises(OSError, match="No space left") as told:
        write(tmp_path / "secret")
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "secret"))
    assert list(tmp_path.iterdir()) == []
