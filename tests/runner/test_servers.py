"""The servers of a test session end with it, also when pytest itself was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.processes import Identity
from tests.support import servers
from tests.support.servers import OWNER, private_kafka, private_postgres


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
