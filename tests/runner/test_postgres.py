"""The embedded PostgreSQL: the real server, killed and frozen for real."""

from __future__ import annotations

import getpass
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
    server.remove()


def test_a_server_that_cannot_start_says_what_its_log_says(server: EmbeddedPostgres) -> None:
    server.stop()
    broken = EmbeddedPostgres(server.folder, server.port, settings={"shared_buffers": "1kB"})
    with pytest.raises(ServerFailed, match="shared_buffers"):
        broken.start()
    server.start()


def test_the_server_never_runs_as_root(server: EmbeddedPostgres) -> None:
    runs_as = psutil.Process(server.pid).username()
    assert runs_as == ("nobody" if os.getuid() == 0 else getpass.getuser())


async def test_where_its_user_cannot_enter_the_data_goes_elsewhere_and_this_is_said(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    server = EmbeddedPostgres(tmp_path / "closed" / "postgres")
    # Only root gives the server to another user; to the own user the folder is open.
    elsewhere = os.getuid() == 0
    try:
        server.start()
        assert await _ask(server, "SELECT 1") == 1
        assert server.data.is_relative_to(tmp_path) == (not elsewhere)
        assert any(str(server.data.parent) in note for note in server.notes) == elsewhere
    finally:
        server.remove()
    assert not server.data.exists()
