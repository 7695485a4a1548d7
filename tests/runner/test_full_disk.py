"""A disk that fills up under an installation: nothing dies of it, nothing is half done, and it says what to free.

The disk is a real file system of a few hundred MiB. The four services are stand-ins and the broker is the
session's; the journeys do it with real ones.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.errors import ServerFailed
from runner.processes import Identity, read_identity
from shared.messaging.kafka import Cluster
from tests.conftest import delete_topics
from tests.runner import stand_in
from tests.runner.test_supervisor import Desk, _environment
from tests.support.servers import CACHE, private_postgres
from tests.support.small_disk import MIB, SmallDisk
from tests.support.waiting import wait_until

Mount = Callable[[int], AbstractContextManager[SmallDisk]]


@dataclass
class Installed:
    """An installation whose state is on a small disk; what the stand-ins write is elsewhere."""

    desk: Desk
    disk: SmallDisk

    @property
    def state(self) -> Path:
        return self.disk.folder / "state"

    def answers(self, service_offset: int) -> bool:
        """Whether the service with this port offset answers."""
        port = int(self.desk.environment["DESK_PORT_BASE"]) + service_offset
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def halves(self) -> list[str]:
        """What a write that failed could have left."""
        return [str(path) for path in self.state.rglob(".*") if path.is_file() and path.name.count(".") > 1]


@pytest.fixture(scope="module")
def installed(small_disk: Mount, tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[Installed]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    stand_in.install(elsewhere / "packages")
    with small_disk(700 * MIB) as disk:
        (disk.folder / "state").mkdir()
        (disk.folder / "state" / "cache").symlink_to(CACHE)
        cluster = Cluster(kafka_bootstrap, f"disk{os.getpid()}.")
        environment = {**_environment(elsewhere), "DESK_STATE": str(disk.folder / "state")}
        environment |= {"DESK_KAFKA_BOOTSTRAP": cluster.bootstrap, "DESK_TOPIC_PREFIX": cluster.prefix}
        installed = Installed(Desk(disk.folder, environment), disk)
        try:
            yield installed
        finally:
            disk.free()
            installed.desk.say("reset", "--yes")
            asyncio.run(delete_topics(cluster))


def test_up_on_a_disk_without_room_begins_nothing_and_works_once_there_is_room(installed: Installed) -> None:
    installed.disk.fill(left_bytes=100 * MIB)
    refused = installed.desk.say("up")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"100 MiB free under {installed.state}, 512 MiB are needed: free some space" in refused.stderr
    assert "Nothing was started." in refused.stderr
    assert [path.name for path in installed.state.iterdir()] == ["cache"]
    installed.disk.free()
    installed.desk.up()
    assert installed.desk.say("token").returncode == 0


def test_what_dies_while_the_disk_is_full_is_started_again_and_the_status_says_that_it_is_old(
    installed: Installed,
) -> None:
    desk, disk = installed.desk, installed.disk
    before, supervisor = desk.running(), desk.status().supervisor
    assert supervisor is not None
    disk.fill()
    killed = before["sla"]
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(lambda: not killed.alive())
    wait_until(lambda: installed.answers(30), within=30)
    told = wait_until(lambda: said if "the disk is full" in (said := desk.say("status").stdout) else "", within=30)
    assert "This is how it was" in told
    assert desk.say("status").returncode == 1
    assert supervisor.alive()
    assert desk.say("token").returncode == 0, "what exists can be read on a full disk"
    up = desk.say("up")
    assert (up.returncode, "the disk is full" in up.stderr) == (1, True)
    assert installed.halves() == []

    disk.free()
    wait_until(lambda: desk.say("status").returncode == 0, within=60)
    now = desk.running()
    assert desk.status().supervisor == supervisor
    assert now["sla"] != killed
    assert all(identity.alive() for identity in now.values())
    assert read_identity(installed.state / "processes" / "sla.json") == now["sla"], "recorded once there was room"
    assert {name: now[name] for name in ("tickets", "postgres")} == {
        name: before[name] for name in ("tickets", "postgres")
    }


@pytest.mark.parametrize(
    ("words", "said"), [(("token", "--as", "agent"), "The disk is full ("), (("--debug", "token"), "Traceback")]
)
def test_a_command_that_cannot_write_says_so_in_one_line(
    small_disk: Mount, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with small_disk(2 * MIB) as disk:
        (disk.folder / "state").mkdir()
        disk.fill()
        desk = Desk(disk.folder, {**_environment(tmp_path), "DESK_STATE": str(disk.folder / "state")})
        done = desk.say(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert (len(done.stderr.splitlines()) == 1) == (said != "Traceback")
        assert not [path for path in (disk.folder / "state").rglob("*") if path.is_file()]


def test_a_database_that_does_not_fit_leaves_no_half_of_itself_and_fits_once_there_is_room(small_disk: Mount) -> None:
    with small_disk(30 * MIB) as disk:
        server = private_postgres(disk.folder / "postgres")
        try:
            with pytest.raises(ServerFailed, match=f"does not fit: the disk is full under {disk.folder}"):
                server.start()
            assert {path.name for path in (disk.folder / "postgres").iterdir()} == {"password"}
            assert disk.left() > 29 * MIB
            disk.grow(300 * MIB)
            server.start()
            assert server.accepts()
            assert Identity.of(server.pid) is not None
        finally:
            server.remove()
