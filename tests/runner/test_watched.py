"""The watcher: what dies is started again, what is silent is killed. Real child processes, made for this."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import ports
from runner.errors import PortBusy
from runner.processes import Identity
from runner.watched import HttpService, Watcher
from tests.support.waiting import wait_until

# Answers both probes with 200, with 503 while `unready` exists, and not at all while `silent` exists.
PROBED = """
import pathlib, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
folder = pathlib.Path(sys.argv[2])
class Probes(BaseHTTPRequestHandler):
    def do_GET(self):
        while (folder / "silent").exists():
            time.sleep(0.05)
        self.send_response(503 if self.path == "/readyz" and (folder / "unready").exists() else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Probes).serve_forever()
"""


def _service(folder: Path, *command: str) -> HttpService:
    port = ports.free_port()
    words = command or (sys.executable, "-c", PROBED, str(port), str(folder))
    return HttpService("probed", port, words, lambda: os.environ, folder / "records", folder / "log")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watcher(tmp_path: Path, said: list[str]) -> Iterator[Watcher]:
    watcher = Watcher("probed", _service(tmp_path), said.append, silent_at_most_seconds=2.5)
    watcher.start()
    wait_until(lambda: watcher.ready)
    yield watcher
    watcher.stop()


def _restarts(watcher: Watcher) -> int:
    return watcher.status("").restarts


def test_a_killed_process_is_started_again_and_counted(watcher: Watcher, said: list[str]) -> None:
    first = watcher.server.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: watcher.server.pid != first and _restarts(watcher) == 1 and watcher.ready)
    assert any("ended; starts again at once" in text for text in said)


def test_a_record_that_was_not_taken_is_written_while_the_process_is_watched(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher("probed", _service(tmp_path), said.append)
    with monkeypatch.context() as full:
        full.setattr("runner.processes.write_private", _refuse)
        watcher.start()
    try:
        wait_until(lambda: watcher.ready and (tmp_path / "records" / "probed.json").exists())
    finally:
        watcher.stop()


def _refuse(path: Path, _: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_process_that_no_longer_answers_is_killed_and_started_again(
    watcher: Watcher, tmp_path: Path, said: list[str]
) -> None:
    silent = Identity.of(watcher.server.pid)
    assert silent is not None
    (tmp_path / "silent").touch()
    wait_until(lambda: not silent.alive())
    (tmp_path / "silent").unlink()
    wait_until(lambda: _restarts(watcher) >= 1 and watcher.ready)
    assert any(f"pid {silent.pid} has not answered for" in text for text in said)


def test_a_frozen_process_is_killed_and_started_again(watcher: Watcher) -> None:
    frozen = Identity.of(watcher.server.pid)
    assert frozen is not None
    os.kill(frozen.pid, signal.SIGSTOP)
    wait_until(lambda: not frozen.alive() and watcher.ready)


def test_a_process_that_answers_but_is_not_ready_is_left_alive(watcher: Watcher, tmp_path: Path) -> None:
    pid = watcher.server.pid
    (tmp_path / "unready").touch()
    wait_until(lambda: not watcher.ready)
    (tmp_path / "unready").unlink()
    wait_until(lambda: watcher.ready)
    assert (watcher.server.pid, _restarts(watcher)) == (pid, 0)


def test_what_keeps_dying_is_started_again_later_each_time(tmp_path: Path, said: list[str]) -> None:
    watcher = Watcher("dying", _service(tmp_path, sys.executable, "-c", "raise SystemExit(3)"), said.append)
    watcher.start()
    try:
        wait_until(lambda: _restarts(watcher) >= 4)
    finally:
        watcher.stop()
    waits = [text.rpartition("again ")[2] for text in said if "starts again" in text]
    assert waits[:4] == ["at once", "in 0.2 s", "in 0.6 s", "in 1.4 s"]


def test_a_night_of_failures_does_not_end_the_watching(tmp_path: Path, said: list[str]) -> None:
    watcher = Watcher("dying", _service(tmp_path, sys.executable, "-c", "raise SystemExit(3)"), said.append)
    watcher._failures = 5000
    watcher._ending.set()
    watcher._restart()
    assert said == ["dying: ended; starts again in 15.0 s"]


def test_a_failure_that_nobody_expected_does_not_end_the_watching(
    watcher: Watcher, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([RuntimeError("strange"), ValueError("stranger")])
    looked = watcher._look

    def look() -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        looked()

    monkeypatch.setattr(watcher, "_look", look)
    wait_until(lambda: any("could not be looked at: ValueError: stranger" in text for text in said))
    killed = watcher.server.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: watcher.server.pid != killed and watcher.ready)


def test_stopping_ends_the_process_and_starts_no_other(watcher: Watcher) -> None:
    process = Identity.of(watcher.server.pid)
    assert process is not None
    watcher.stop()
    assert not process.alive()
    assert watcher.server.pid == 0


def test_a_busy_port_is_told_to_whoever_starts(tmp_path: Path, watcher: Watcher) -> None:
    port = watcher.server.port
    second = HttpService("second", port, [sys.executable], lambda: os.environ, tmp_path / "other", tmp_path / "log")
    with pytest.raises(PortBusy, match=rf"port {port} \(second\) is held by pid {watcher.server.pid}"):
        second.start()
