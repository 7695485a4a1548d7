"""The servers of the test suite as containers: what `make test` uses where an engine answers and has the images."""

from __future__ import annotations

import os
import sys

import pytest

from tests.containers.engine import run

pytestmark = pytest.mark.timeout(600)

# One of each kind: a database of its own, a broker, both.
CHOSEN = (
    "tests/runner/test_databases.py",
    "tests/shared/messaging/test_topics.py",
    "tests/shared/messaging/test_consumer.py",
    "tests/sla/test_subscribers.py",
)


def test_tests_run_on_postgresql_and_kafka_in_containers() -> None:
    given = ("DESK_POSTGRES_URL", "DESK_KAFKA_BOOTSTRAP")
    env = {name: value for name, value in os.environ.items() if name not in given and not name.startswith("PYTEST_")}
    done = run(sys.executable, "-m", "pytest", "-q", *CHOSEN, env=env, within=500)
    assert "PostgreSQL in a container (postgres:18), Apache Kafka in a container (apache/kafka:4.3.1)" in done.stdout
    assert " passed" in done.stdout
