"""What the operating system refuses is told as one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from shared.system_errors import DEBUG, explain, is_full, wants_traceback


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            "The disk is full (/data/x): nothing was written",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk is full: nothing was written. Free some space"),
        (OSError(errno.EACCES, "Permission denied", "/data/x"), "This user may not do that (/data/x)"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "can only be read (/data/x)"),
        (OSError(errno.ECONNREFUSED, "Connect call failed"), "A server does not answer: Connect call failed. Does it"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "cannot be reached: No route to host"),
        (OSError(errno.ENOENT, "No such file or directory", "a", None, "b"), "It does not exist (a → b)"),
        (TimeoutError(), "There was no answer in time"),
        (socket.gaierror(-2, "Name or service not known"), "is not known here (Name or service not known)"),
        (OSError("strange"), "The system refused: strange"),
    ],
)
def test_an_error_becomes_a_sentence(error: OSError, words: str) -> None:
    said = explain(error)
    assert words in said
    assert "\n" not in said
    assert "Errno" not in said


def test_every_number_of_the_system_has_a_sentence() -> None:
    for number in errno.errorcode:
        assert explain(OSError(number, os.strerror(number), "file")).endswith((".", "?"))


def test_a_full_disk_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_full(OSError(errno.ENOSPC, ""))
    assert not is_full(OSError(errno.EACCES, ""))
    monkeypatch.setenv(DEBUG, "0")
    assert not wants_traceback()
    monkeypatch.setenv(DEBUG, "1")
    assert wants_traceback()
