"""The embedded PostgreSQL: the real server, killed and frozen for real."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from runner import ports
from runner.errors import PortBusy, ServerFailed
from runner.postgres import EmbeddedPostgres
from runner.processes import Identity

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root gives PostgreSQL to another user")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.remove()


async def _ask(server: EmbeddedPostgres, query: str) -> object:
    connection = await asyncpg.connect(server.url, timeout=5)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_killed_server_comes_back_on_its_port_with_every_committed_row(server: EmbeddedPostgres) -> None:
    await _ask(server, "CREATE TABLE kept AS SELECT generate_series(1, 1000)")
    pid, port = server.pid, server.port
    server.kill()
    assert not server.alive
    server.start()
    assert (server.pid != pid, server.port) == (True, port)
    assert await _ask(server, "SELECT count(*) FROM kept") == 1000


async def test_a_pid_file_that_names_a_stranger_does_not_keep_the_server_down(server: EmbeddedPostgres) -> None:
    server.kill()
    # As after a reboot: the number in the file belongs to some other living process.
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    (server.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.start()
    assert await _ask(server, "SELECT 1") == 1


async def test_the_server_of_a_killed_runner_is_ended_before_a_new_one_starts(server: EmbeddedPostgres) -> None:
    left = Identity.of(server.pid)
    successor = EmbeddedPostgres(server.folder, server.port)
    successor.start()
    try:
        assert left is not None
        assert not left.alive()
        assert await _ask(successor, "SELECT 1") == 1
    finally:
        successor.stop()
        server.start()


async def test_it_is_the_server_that_the_product_needs(server: EmbeddedPostgres) -> None:
    assert await _ask(server, "SELECT current_setting('listen_addresses')") == "127.0.0.1"
    assert await _ask(server, "SELECT current_setting('shared_preload_libraries')") == "pg_stat_statements"
    assert await _ask(server, "SELECT datlocale FROM pg_database WHERE datname = 'postgres'") == "PG_UNICODE_FAST"
    assert await _ask(server, "SELECT upper('ñandú')") == "ÑANDÚ"


async def test_nobody_enters_without_the_password_and_only_its_owner_can_read_it(server: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password="postgres")
    password = server.folder / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text() in server.url


def test_a_frozen_server_does_not_accept_and_a_woken_one_does(server: EmbeddedPostgres) -> None:
    server.pause()
    assert not server.accepts()
    server.resume()
    assert server.accepts()


def test_a_busy_port_is_named_with_its_holder_and_nothing_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as listener:
        server = EmbeddedPostgres(tmp_path / "postgres", listener.getsockname()[1])
        with pytest.raises(PortBusy, match=rf"PostgreSQL\) is held by pid {os.getpid()}"):
            server.start()
    assert not server.data.exists()


def test_a_server_that_cannot_start_says_what_its_log_says(server: EmbeddedPostgres) -> None:
    server.stop()
    broken = EmbeddedPostgres(server.folder, server.port, settings={"shared_buffers": "1kB"})
    with pytest.raises(ServerFailed, match="shared_buffers"):
        broken.start()
    server.start()


@AS_ROOT
def test_under_root_the_server_runs_as_a_user_that_owns_nothing(server: EmbeddedPostgres) -> None:
    assert psutil.Process(server.pid).username() == "nobody"


@AS_ROOT
async def test_under_a_closed_folder_the_data_goes_elsewhere_and_this_is_said(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    server = EmbeddedPostgres(tmp_path / "closed" / "postgres")
    try:
        server.start()
        assert await _ask(server, "SELECT 1") == 1
        assert not server.data.is_relative_to(tmp_path)
        assert any(str(server.data.parent) in note for note in server.notes)
    finally:
        server.remove()
    assert not server.data.exists()
