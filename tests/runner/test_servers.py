"""The servers of a test session end with it, also when pytest itself was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner import ports
from runner.installation import Installation
from runner.processes import Identity
from tests.support import servers
from tests.support.servers import OWNER, ports_of_worker, private_kafka, private_postgres


def test_the_servers_of_a_session_that_was_killed_are_ended_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "STATE", tmp_path)
    abandoned = tmp_path / "session-1"
    database, broker = private_postgres(abandoned / "postgres"), private_kafka(abandoned / "kafka")
    database.start()
    broker.start()
    left = [Identity.of(database.pid), Identity.of(broker.pid)]
    (abandoned / OWNER).write_text(json.dumps({"pid": 1, "started": "another-boot:1"}))
    servers._remove_abandoned_sessions()
    assert [each.alive() for each in left if each] == [False, False]
    assert not abandoned.exists()


def test_given_addresses_are_used_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "STATE", tmp_path)
    monkeypatch.setenv("DESK_POSTGRES_URL", "postgresql://somebody@db.example/postgres")
    monkeypatch.setenv("DESK_KAFKA_BOOTSTRAP", "kafka.example:9092")
    found = servers.start()
    assert found.postgres_url == "postgresql://somebody@db.example/postgres"
    assert found.kafka_bootstrap == "kafka.example:9092"
    assert found.origin == "PostgreSQL given by address, Apache Kafka given by address"
    found.stop()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_no_worker_picks_a_port_of_another_ones_installation(count: int) -> None:
    taken: set[int] = set()
    for number in range(count):
        mine = ports_of_worker(range(15000, 32000), {"workerid": f"gw{number}", "workercount": count})
        assert len(mine) > 17000 // count - 200
        reached = {port for base in mine for port in (base, *Installation(Path(), base).ports.values())}
        assert not taken & reached
        assert max(reached) < 32000
        taken |= reached


def test_a_worker_picks_from_its_own_share(request: pytest.FixtureRequest) -> None:
    worker = getattr(request.config, "workerinput", None)
    share = ports_of_worker(range(15000, 32000), worker)
    assert share == ports.FREE_RANGE
    assert all(ports.free_port() in share for _ in range(20))
