"""A registry that does not answer is named with its address, and the installer leaves nothing half done."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from runner import registry
from runner.jars import LOCK, SPECIFICATION, _drop_halves, read_lock
from runner.registry import environment_of_installer, silent_registry, told

# What the three installers say; addresses are made up.
PIP = "  Fetching project page and analyzing links: http://index.example/all/uv/\nNewConnectionError: [Errno 111] " \
    "Connection refused"  # fmt: skip
UV = "error: Request failed after 3 retries\n  cause: Failed to fetch: http://me:hunter2@index.example/all/a/" \
    "\n  cause: dns error\n  cause: Name or service not known"  # fmt: skip
MAVEN = "HTTPSConnectionPool(host='maven.example', port=443): Max retries exceeded with url: /m/a.pom (Caused by " \
    "ConnectTimeoutError('Connection to maven.example timed out'))"  # fmt: skip
PROXY = "HTTPSConnectionPool(host='maven.example', port=443): Max retries exceeded (Caused by ProxyError('Unable to " \
    "connect to proxy', NewConnectionError(\"HTTPSConnection(host='127.0.0.1', port=9): Failed\")))"  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PIP, "http://index.example/all/uv/ does not answer (connection refused)"),
        (UV, "http://index.example/all/a/ does not answer (name or service not known)"),
        (MAVEN, "maven.example does not answer (timed out)"),
        (PROXY, "maven.example does not answer through the proxy 127.0.0.1:9 (unable to connect to proxy)"),
        ("error: No space left on device (os error 28)", None),
        ("hash mismatch for http://index.example/a.whl", None),
        ("error: Hash mismatch for `pytest-timeout==2.4.0`", None),
        ("error: Hash mismatch for `async-timeout==5.0.1`\n  after operation timed out", None),
        ("error: Failed to write site-packages/pytest_timeout.py\n  cause: No space left on device", None),
        ("error: Failed to build `pytest-timeout==2.4.0`", None),
        ("ERROR: HTTP error 401 Unauthorized for url (http://me:hunter2@index.example/x)", None),
        (
            "error: Failed to fetch: http://me:p@ss-hunter2@index.example/a\n  network timeout; try again",
            "http://index.example/a does not answer (network timeout)",
        ),
        (
            "ReadTimeoutError(\"HTTPSConnectionPool(host='index.example', port=443): Read timed out. (timeout=15)\")",
            "index.example does not answer (read timed out)",
        ),
    ],
)
def test_the_address_and_the_reason_are_read_from_what_the_installer_says(said: str, expected: str | None) -> None:
    assert silent_registry(said) == expected
    assert "hunter2" not in told(said)
    if expected is None:
        assert told(said) == said.replace("me:hunter2@", "")


def test_of_a_long_log_the_errors_and_the_end_are_told() -> None:
    noise = [f"  Link requires a different Python: {number}" for number in range(500)]
    said = told("\n".join(["Using pip 26", *noise, "ERROR: it cannot be built", *noise, "  it is in the last lines"]))
    lines = said.splitlines()
    assert (lines[0], lines[-1]) == ("ERROR: it cannot be built", "  it is in the last lines")
    assert len(lines) < 30


def test_of_many_errors_the_last_are_told() -> None:
    lines = told("\n".join(f"ERROR: number {number}" for number in range(500))).splitlines()
    assert lines[-1] == "ERROR: number 499"
    assert len(lines) < 40


def test_an_index_that_is_named_for_pip_is_meant_for_uv_as_well() -> None:
    named = {"PIP_INDEX_URL": "http://index.example/packages"}
    assert environment_of_installer(named)["UV_DEFAULT_INDEX"] == "http://index.example/packages"
    other = {**named, "UV_INDEX_URL": "http://other.example"}
    assert environment_of_installer(other) == other


def test_an_index_that_refuses_is_named_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    """The real pip, against a port where nobody listens."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    done = subprocess.run(
        [sys.executable, registry.__file__, python, "-m", "pip", "install", "-vv", "--no-cache-dir", "psa-nowhere==1"],
        env={"PATH": os.defpath, "PIP_INDEX_URL": "http://127.0.0.1:9/packages", "PIP_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("http://127.0.0.1:9/packages does not answer (connection refused). Connect")
    assert len(done.stderr.splitlines()) == 1


def test_only_whole_files_are_kept_of_a_download_that_did_not_end(tmp_path: Path) -> None:
    whole, half = read_lock()[0], read_lock()[1]
    repository = tmp_path / "m2"
    repository.mkdir()
    for jar in (whole, half):
        (repository / jar.file).write_bytes(b"PK half of a jar")
    (repository / "whole.pom").write_text("<project>\n</project>\n")
    (repository / "half.pom").write_text("<project>\n<depend")
    (repository / "half.sha1").write_text("00")
    digest = hashlib.sha256(b"PK half of a jar").hexdigest()
    _drop_halves(repository, [type(whole)(whole.file, digest), half])
    assert {each.name for each in repository.iterdir()} == {whole.file, "whole.pom"}
    assert LOCK.exists()
    assert SPECIFICATION.exists()
