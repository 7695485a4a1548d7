"""The supervisor and the commands where nothing can be written: faults put in by hand, so that any user can run it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runner import control, disk, supervisor
from runner.control import STALE_AFTER_SECONDS, bring_up, look
from runner.disk import shortage
from runner.errors import RunnerError, sentence_in
from runner.installation import Installation
from runner.processes import Identity
from runner.status import State, Status, read_status, write_status
from runner.supervisor import Supervisor


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    (tmp_path / "logs").mkdir()
    return Installation(tmp_path)


def fill(path: Path, *_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def running(state: State = "ready") -> Status:
    """The status of a supervisor that lives: this process."""
    return Status(state, supervisor=Identity.of(os.getpid()))


def make_old(path: Path) -> None:
    """As if nobody had confirmed the status for a minute."""
    old = path.stat().st_mtime - STALE_AFTER_SECONDS - 60
    os.utime(path, (old, old))


def test_a_status_that_cannot_be_written_is_remarked_once_and_written_when_it_can_be(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(supervisor, "_say", said.append)
    watching = Supervisor(installation)
    with monkeypatch.context() as full:
        full.setattr(supervisor, "write_status", fill)
        for _ in range(3):
            watching._write("ready")
    assert read_status(installation.state / "status.json") is None
    watching._write("ready")
    watching._write("ready")
    status = read_status(installation.state / "status.json")
    assert status is not None
    assert status.state == "ready"
    assert len(said) == 2
    assert "the services are watched all the same" in said[0]
    assert said[1] == "the status can be written again"


def test_a_log_that_cannot_be_put_aside_does_not_end_the_watching(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    for name in ("kafka", "sla"):
        (installation.logs / f"{name}.log").touch()
    monkeypatch.setattr(supervisor, "_say", said.append)
    monkeypatch.setattr(supervisor, "rotate", fill)
    Supervisor(installation)._rotate_logs()
    assert len(said) == 2
    assert all("is not put aside: The disk is full" in each for each in said)


def test_a_line_for_a_full_log_is_lost_and_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        supervisor._say("lost")


@pytest.mark.parametrize(
    ("is_full", "words"), [(True, "the disk is full under"), (False, "the supervisor lives and has not written")]
)
def test_a_status_that_is_old_says_so_and_why(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, is_full: bool, words: str
) -> None:
    path = installation.state / "status.json"
    write_status(path, running())
    found = look(installation)
    assert found is not None
    assert (found.state, found.error) == ("ready", "")
    make_old(path)
    monkeypatch.setattr(disk, "is_full", lambda _: is_full)
    found = look(installation)
    assert found is not None
    assert found.state == "degraded"
    assert words in found.error
    with pytest.raises(RunnerError, match=words):
        bring_up(installation, lambda _: None)


@pytest.mark.parametrize(
    ("ended", "words"), [(True, "^begun$"), (False, "still stopping after .* `desk down` ends it")]
)
def test_a_supervisor_that_takes_its_time_to_stop_is_waited_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, ended: bool, words: str
) -> None:
    waited: list[Identity] = []

    def wait(identity: Identity, _seconds: float) -> bool:
        waited.append(identity)
        return ended

    def begin(_: Installation) -> None:
        raise RunnerError("begun")

    path = installation.state / "status.json"
    write_status(path, running("stopping"))
    make_old(path)
    found = look(installation)
    assert found is not None
    assert (found.state, found.error) == ("stopping", "")
    monkeypatch.setattr(control, "wait_for_end", wait)
    monkeypatch.setattr(control, "_start_supervisor", begin)
    with pytest.raises(RunnerError, match=words):
        bring_up(installation, lambda _: None)
    assert waited == [found.supervisor]


def test_what_may_go_is_named_where_old_logs_take_room(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shortage(installation) == ""
    (installation.logs / "kafka.log.1").write_bytes(bytes(3 * 2**20))
    monkeypatch.setattr(disk.Room, "lack", lambda room: f"{room.says}, more is needed")
    told = shortage(installation)
    assert f"free under {installation.state}, more is needed: free some space" in told
    assert f"old logs in {installation.logs}, *.log.*, take 3 MiB and may go" in told


def test_nothing_is_started_on_a_disk_without_room(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "shortage", lambda _: "The disk is too full.")
    monkeypatch.setattr(control, "_start_supervisor", lambda _: pytest.fail("it was started"))
    with pytest.raises(RunnerError, match="The disk is too full. Nothing was started."):
        bring_up(installation, lambda _: None)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ('{"event":"migrating"}\nsla: the database is newer\n', "sla: the database is newer"),
        ("topics differ:\n  a is missing\n", "topics differ:\n  a is missing"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'y'\n", "KeyError: 'y'"),
        ('{"event":"died"}\n', ""),
    ],
)
def test_of_what_a_command_says_the_words_are_told(said: str, sentence: str) -> None:
    assert sentence_in(said) == sentence
