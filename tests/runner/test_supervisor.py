"""`desk` as a user runs it: the real command, PostgreSQL, Kafka, topics and issuer; the four services are stand-ins."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from runner.databases import drop_database
from runner.installation import SERVICES, command
from runner.processes import Identity
from runner.status import Status, read_status
from tests.runner import stand_in
from tests.support.installations import free_base
from tests.support.servers import CACHE
from tests.support.waiting import wait_until

SERVERS = ("postgres", "kafka", "issuer")


@dataclass
class Desk:
    """One installation in a folder of its own, and the command that runs it."""

    folder: Path
    environment: dict[str, str]

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `desk` with these words."""
        return subprocess.run(
            command("runner.cli", *words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up(self) -> str:
        done = self.say("up")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> Status:
        status = read_status(self.folder / "state" / "status.json")
        assert status is not None
        return status

    def running(self) -> dict[str, Identity]:
        """What the supervisor says that it runs."""
        return {each.name: each.identity for each in self.status().processes if each.identity}

    def calls(self, service: str) -> list[str]:
        return (self.folder / f"{service}.calls").read_text().splitlines()


def _environment(folder: Path) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("DESK_")}
    return given | {
        "DESK_STATE": str(folder / "state"),
        "DESK_PORT_BASE": str(free_base()),
        "STAND_IN_FOLDER": str(folder),
        "PYTHONPATH": str(folder / "packages"),
    }


def _make(folder: Path) -> Desk:
    stand_in.install(folder / "packages")
    (folder / "state").mkdir()
    # What is fetched once is shared by all tests.
    (folder / "state" / "cache").symlink_to(CACHE)
    return Desk(folder, _environment(folder))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = _make(tmp_path_factory.mktemp("desk"))
    desk.up()
    yield desk
    desk.say("reset", "--yes")


def test_up_says_where_everything_is_and_runs_it(desk: Desk) -> None:
    said = desk.up()
    assert "PSA Desk is ready" in said
    assert all(f":{each.port}" in said for each in desk.status().processes)
    assert all(word in said for word in ("Lucía Gómez", "desk token --as", "tickets: database", "jars match the lock"))
    assert all(identity.alive() for identity in desk.running().values())
    assert set(desk.running()) == {*SERVICES, *SERVERS}


def test_a_second_up_starts_nothing(desk: Desk) -> None:
    before = desk.running()
    calls = {service: desk.calls(service) for service in SERVICES}
    desk.up()
    assert desk.running() == before
    assert {service: desk.calls(service) for service in SERVICES} == calls


def test_a_service_is_never_given_what_could_change_its_tables(desk: Desk) -> None:
    for service in SERVICES:
        assert desk.calls(service)[0] == "migrate owner, no admin"
        assert "all no owner, no admin" in desk.calls(service)
        assert not [
            call for call in desk.calls(service)[1:] if call.startswith("all") and "no owner, no admin" not in call
        ]


@pytest.mark.parametrize("victim", ["tickets", "issuer", "postgres", "kafka"])
def test_whatever_is_killed_comes_back(desk: Desk, victim: str) -> None:
    killed = desk.running()[victim]
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(lambda: desk.running().get(victim, killed) != killed and desk.status().state == "ready", within=30)
    assert desk.say("status").returncode == 0


def test_up_repairs_everything_after_the_supervisor_was_killed(desk: Desk) -> None:
    supervisor, before = desk.status().supervisor, desk.running()
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not supervisor.alive())
    assert all(identity.alive() for identity in before.values())
    assert desk.say("status").returncode == 1
    desk.up()
    assert not any(identity.alive() for identity in before.values())
    assert all(identity.alive() for identity in desk.running().values())
    assert set(desk.running()) == set(before)


def test_the_token_of_the_command_line_is_one_of_this_installation(desk: Desk) -> None:
    done = desk.say("token", "--as", "billing")
    assert done.stdout.count(".") == 2
    unknown = desk.say("token", "--as", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no persona 'nobody'" in unknown.stderr


def test_the_logs_of_a_process_can_be_read(desk: Desk) -> None:
    assert "database system is ready" in desk.say("logs", "postgres", "-n", "200").stdout
    assert "There is no log of 'nothing'" in desk.say("logs", "nothing").stderr


def test_down_leaves_nothing_running_and_up_finds_the_data_again(desk: Desk) -> None:
    before = desk.running()
    assert desk.say("down").returncode == 0
    assert not any(identity.alive() for identity in before.values())
    assert desk.status().state == "stopped"
    assert "loaded before" in desk.up()


def test_why_a_migration_was_refused_is_told_in_its_own_words(desk: Desk) -> None:
    desk.say("down")
    (desk.folder / "devlink.refuses").write_text("devlink: the database is newer than this release")
    refused = desk.say("up")
    (desk.folder / "devlink.refuses").unlink()
    assert refused.returncode == 1
    assert "`devlink migrate` was refused: devlink: the database is newer than this release (log: " in refused.stderr
    assert "a line for machines" not in refused.stderr
    assert (desk.status().state, desk.running()) == ("failed", {})


def test_a_busy_port_is_named_with_its_holder_and_nothing_is_started(tmp_path: Path) -> None:
    desk = _make(tmp_path)
    port = int(desk.environment["DESK_PORT_BASE"]) + 30
    with socket.create_server(("127.0.0.1", port)):
        done = desk.say("up")
    assert done.returncode == 1
    assert f"port {port} (sla) is held by pid {os.getpid()}" in done.stderr
    assert not list((tmp_path / "state").glob("processes/*"))
    assert not (tmp_path / "state" / "postgres").exists()


def test_given_servers_are_used_and_not_touched(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> None:
    desk = _make(tmp_path)
    desk.environment |= {"DESK_POSTGRES_URL": postgres_url, "DESK_KAFKA_BOOTSTRAP": kafka_bootstrap}
    desk.environment["DESK_TOPIC_PREFIX"] = f"{tmp_path.name}."
    try:
        desk.up()
        assert set(desk.running()) == {*SERVICES, "issuer"}
        assert asyncio.run(_databases(postgres_url)) >= {f"desk_{service}" for service in SERVICES}
        assert desk.say("down").returncode == 0
    finally:
        desk.say("reset", "--yes")
        for service in SERVICES:
            asyncio.run(drop_database(postgres_url, f"desk_{service}"))


async def _databases(postgres_url: str) -> set[str]:
    connection = await asyncpg.connect(postgres_url)
    names = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
    await connection.close()
    return names
