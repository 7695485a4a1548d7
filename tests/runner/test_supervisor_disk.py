"""The supervisor and the commands where nothing can be written: faults put in by hand, so that any user can run it."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner import control, disk, ports, supervisor
from runner.control import STALE_AFTER_SECONDS, bring_up, look
from runner.disk import shortage
from runner.errors import RunnerError, sentence_in
from runner.installation import Installation
from runner.processes import Identity
from runner.status import State, Status, read_status, write_status
from runner.steps import Plan, Step
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


def test_a_status_that_is_refused_for_one_reason_is_remarked_once_however_the_text_differs(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    attempts = count()

    def refuse(path: Path, _: Status) -> None:
        number = next(attempts)
        raise OSError(errno.ENOSPC if number < 3 else errno.EROFS, "refused", f"{path}.{number}")

    monkeypatch.setattr(supervisor, "_say", said.append)
    monkeypatch.setattr(supervisor, "write_status", refuse)
    watching = Supervisor(installation)
    for _ in range(6):
        watching._write("ready")
    assert [each.rpartition("refused: ")[2] for each in said] == [
        f"'{installation.state}/status.json.0'",
        f"'{installation.state}/status.json.3'",
    ]


def test_no_file_that_can_be_made_is_one_line_of_the_log(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(supervisor, "_say", said.append)
    watching = Supervisor(installation)
    with monkeypatch.context() as full:
        full.setattr(os, "open", fill)
        for _ in range(3):
            watching._write("ready")
    assert len(said) == 1
    assert said[0].endswith(f"No space left on device: '{installation.state / 'status.json'}'")


def test_a_status_that_nobody_tried_to_write_is_not_said_to_be_written_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(supervisor, "_say", said.append)
    watching = Supervisor(installation)
    watching._came_up_after = 1.0
    watching._write("ready")
    with monkeypatch.context() as full:
        full.setattr(supervisor, "write_status", fill)
        watching._write("degraded")
        watching._write("ready")
    assert len(said) == 1


def test_a_log_that_cannot_be_put_aside_does_not_end_the_watching(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    for name in ("kafka", "sla"):
        (installation.logs / f"{name}.log").touch()
    monkeypatch.setattr(supervisor, "_say", said.append)
    watching = Supervisor(installation)
    with monkeypatch.context() as full:
        full.setattr(supervisor, "rotate", fill)
        for _ in range(3):
            watching._rotate_logs()
    assert len(said) == 2
    assert all("is not put aside: The disk is full" in each for each in said)
    for _ in range(2):
        watching._rotate_logs()
    assert sorted(said[2:]) == ["kafka.log can be put aside again", "sla.log can be put aside again"]


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
    monkeypatch.setattr(disk.Room, "lack", lambda room, *_: f"{room.says}, more is needed")
    told = shortage(installation)
    assert f"free under {installation.state}, more is needed: free some space" in told
    assert f"old logs in {installation.logs}, *.log.*, take 3 MiB and may go" in told


def leave(monkeypatch: pytest.MonkeyPatch, free_bytes: int, files: int | None = None) -> None:
    """As if every disk had so much room."""
    monkeypatch.setattr(disk, "_room", lambda folder: disk.Room(folder, free_bytes, files))


def come_up_once(installation: Installation) -> None:
    """What a first `desk up` leaves."""
    for file in ("loaded/sla.json", "cache/kafka/jar"):
        (installation.state / file).parent.mkdir(parents=True)
        (installation.state / file).touch()


@pytest.mark.parametrize(
    ("came_up", "free_mib", "files", "lack"),
    [
        (False, 500, 9999, "500 MiB free under {}, 512 MiB are needed"),
        (False, 600, 900, "only 900 more files fit under {}"),
        (True, 100, 900, ""),
        (True, 60, 9999, "60 MiB free under {}, 64 MiB are needed"),
        (True, 100, 50, "only 50 more files fit under {}"),
    ],
)
def test_what_is_there_already_needs_no_room_any_more(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, came_up: bool, free_mib: int, files: int, lack: str
) -> None:
    if came_up:
        come_up_once(installation)
    leave(monkeypatch, free_mib * 2**20, files)
    told = shortage(installation)
    assert lack.format(installation.state) in told
    assert bool(told) == bool(lack)


def test_an_installation_whose_jars_were_deleted_needs_the_room_of_a_new_one(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_up_once(installation)
    (installation.cache / "kafka" / "jar").unlink()
    (installation.cache / "kafka").rmdir()
    leave(monkeypatch, 100 * 2**20)
    assert "512 MiB are needed" in shortage(installation)


@pytest.mark.parametrize(
    ("free_mib", "error", "is_told"),
    [
        (100, RunnerError("sla: the database is newer"), False),
        (100, OSError(errno.EACCES, "Permission denied"), False),
        (100, OSError(errno.ENOSPC, "No space left on device"), True),
        (3, RunnerError("sla: the database is newer"), True),
    ],
)
def test_a_full_disk_is_named_only_where_it_may_be_why_nothing_comes_up(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, free_mib: int, error: Exception, is_told: bool
) -> None:
    def refuse(_: object) -> None:
        raise error

    leave(monkeypatch, free_mib * 2**20)
    monkeypatch.setattr(supervisor, "_say", lambda _: None)
    monkeypatch.setattr(supervisor, "take_down_leftovers", lambda _: [])
    monkeypatch.setattr(ports, "require_free", lambda _: None)
    monkeypatch.setattr(
        supervisor, "Crew", lambda *_: SimpleNamespace(plan=lambda: Plan([Step("sla", lambda: refuse(0))]))
    )
    watching = Supervisor(installation)
    watching._bring_up()
    assert ("512 MiB are needed" in watching._failure) == is_told
    assert watching._failure.startswith("sla: ")


@pytest.mark.parametrize(
    ("free_mib", "words"), [(3, "3 MiB free under .*free some space"), (100, "waited for. Say `desk up` again.$")]
)
def test_a_supervisor_that_ended_without_a_word_on_a_full_disk_is_told_with_the_disk(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, free_mib: int, words: str
) -> None:
    gone = Identity(os.getpid(), "another-boot:1")
    write_status(installation.state / "status.json", Status("starting", supervisor=gone))
    leave(monkeypatch, free_mib * 2**20)
    with pytest.raises(RunnerError, match=f"The supervisor was ended while it was .*{words}"):
        control._Following(installation, None, followed=gone).look()


def test_whether_a_status_is_old_is_decided_once(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirmed between two looks it would be neither old nor new."""
    ages = iter([STALE_AFTER_SECONDS + 60])
    write_status(installation.state / "status.json", running())
    monkeypatch.setattr(control, "age_of_status", lambda _: next(ages, 0.0))
    with pytest.raises(RunnerError, match="This is how it was 65 s ago"):
        control._require_room(installation)


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
        (
            "Traceback (most recent call last):\n  File x\nasyncpg.exceptions.UniqueViolationError: duplicate key "
            'value violates unique constraint "clients_pkey"\nDETAIL:  Key (id)=(acme) already exists.\n',
            'asyncpg.exceptions.UniqueViolationError: duplicate key value violates unique constraint "clients_pkey"',
        ),
        (
            "Traceback (most recent call last):\n  File x\npydantic_core._pydantic_core.ValidationError: 1 validation "
            "error for Client\nname\n  Input should be a valid string [type=string_type, input_value=4711, "
            "input_type=int]\n    For further information visit https://errors.example/2.11/v/string_type\n",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Client\nname\n  Input should be a "
            "valid string [type=string_type, input_value=[redacted], input_type=int]",
        ),
        (
            "Traceback (most recent call last):\n  File x\nValueError: a\n\nDuring handling of the above exception, "
            "another exception occurred:\n\nTraceback (most recent call last):\n  File y\nTimeoutError\n",
            "TimeoutError",
        ),
        (
            "Traceback (most recent call last):\n  File x\nsqlalchemy.exc.IntegrityError: (x.IntegrityError) duplicate "
            "key\nDETAIL:  Key (id)=(acme)\n already exists.\n[SQL: INSERT INTO clients\n (id) VALUES ($1)]\n"
            "[parameters: ('acme',)]\n(Background on this error at: https://errors.example/20/gkpj)\n",
            "sqlalchemy.exc.IntegrityError: (x.IntegrityError) duplicate key",
        ),
        ("Traceback (most recent call last):\n  File x\n", "  File x"),
        ("sla: postgresql://desk:hunter2@db/x is silent\n", "sla: postgresql://desk:[redacted]@db/x is silent"),
    ],
)
def test_of_what_a_command_says_the_words_are_told(said: str, sentence: str) -> None:
    assert sentence_in(said) == sentence
