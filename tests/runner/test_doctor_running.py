"""The doctor beside a whole running installation, healthy and damaged: real services, PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.doctor import examine
from runner.doctor.findings import Finding
from runner.doctor.patient import Patient
from runner.installation import SERVICES, Installation, database_of, server_of
from runner.postgres import EmbeddedPostgres
from runner.processes import Identity
from runner.status import Status, read_status
from shared.contracts.topics import CLIENTS, TICKETS, TOPICS
from shared.messaging.kafka import Cluster
from shared.messaging.topics import create_topics, differences
from tests.conftest import delete_topics
from tests.support.installations import brought_up, free_base, rows, say
from tests.support.waiting import wait_until

NOBODY_LISTENS = "127.0.0.1:9"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with brought_up(tmp_path_factory.mktemp("doctor")) as installation:
        yield installation


def found_by_doctor(installation: Installation) -> dict[str, Finding]:
    return {each.check: each for each in examine(installation)}


def told_by_doctor(installation: Installation, check: str, words: str) -> Finding:
    """What the doctor says once the running processes have met the damage."""

    def told() -> Finding | None:
        found = found_by_doctor(installation)[check]
        return found if words in found.says else None

    found = wait_until(told, within=30)
    assert found is not None
    return found


def run_sql(installation: Installation, service: str, *statements: str) -> None:
    """Statements of the administrator on a service's database."""
    for statement in statements:
        asyncio.run(rows(installation, service, statement))


def status_of(installation: Installation) -> Status:
    status = read_status(installation.state / "status.json")
    assert status is not None
    return status


def test_a_healthy_installation_has_no_problem(desk: Installation) -> None:
    done = say(desk, "doctor", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    found = {each["check"]: each for each in told["findings"]}
    assert (done.returncode, told["healthy"]) == (0, True), done.stdout
    asked = {"system", "processes", "postgres", "clock: postgres", "kafka", "topics", "issuer", "clock: issuer"}
    checked = ("ready", "schema", "guards", "messages", "consumer", "work")
    of_services = {f"{service}: {what}" for service in SERVICES for what in checked}
    assert asked | of_services <= set(found)
    # A registry out of reach and a disk that fills up are this machine's, not the installation's.
    assert {each["state"] for name, each in found.items() if name not in ("registry", "disk", "restarts")} == {"ok"}
    assert "8 held by this installation" in found["ports"]["says"]


PARKED = """
    INSERT INTO runtime.parked (topic, partition, "offset", key, headers, reason, problem, parked_at)
    VALUES ('desk.tickets.v1', 0, 0, 'k', '', 'failed', 'no such thing', '2026-01-01')
"""
BLOCKED_ROW = "INSERT INTO runtime.blocked_rows VALUES ('desk.sla.v1', 'k', 1, 'too large', '2026-01-01')"
# Of a topic that it does not read, or a partition that there is not: the running consumer is not to be stopped.
REFUSED = """
    INSERT INTO runtime.refused_logs VALUES ('desk.devlink.v1', 99, 7, 'the log is behind the database', 'it ends at 0',
                                             '2026-01-01')
"""
HALTED = """
    WITH at AS (INSERT INTO runtime.offsets (topic, partition, next_offset) VALUES ('desk.tickets.v1', 99, 7)
                ON CONFLICT DO NOTHING)
    INSERT INTO runtime.halts VALUES ('desk.tickets.v1', 99, 7, 40, '2026-01-01')
"""
PASSED_OVER = """
    INSERT INTO runtime.skipped_types VALUES ('desk.tickets.v1', 99, 'desk.ticket.opened.v1', 7, '2026-01-01')
"""
ASIDE = "INSERT INTO runtime.set_aside VALUES ('sla-timers', 'c', 'ValueError: no terms', 1, '2026-01-01')"
GIVEN_UP = """
    INSERT INTO runtime.errands (kind, key, payload, state, due_at, wanted_at, ended_at)
    VALUES ('create-task', 'k', '{}', 'given-up', '2026-01-01', '2026-01-01', '2026-01-01')
"""
# The relay sends to topics that exist; what is for another one waits.
UNSENT = """
    WITH late AS (
        INSERT INTO runtime.archive
            (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor, correlation_id, value)
        VALUES (gen_random_uuid(), 'desk.never-made.v1', 'k', 'desk.never-made.v1', 'k', '2026-01-01', '2026-01-01',
                'live', 'system:test', 'c', '{}')
        RETURNING position)
    INSERT INTO runtime.outbox SELECT position FROM late
"""
SENT = """
    WITH sent AS (DELETE FROM runtime.archive WHERE topic = 'desk.never-made.v1' RETURNING position),
    waiting AS (DELETE FROM runtime.outbox WHERE position IN (SELECT position FROM sent))
    DELETE FROM runtime.withheld WHERE position IN (SELECT position FROM sent)
"""


@pytest.mark.parametrize(
    ("service", "damage", "repair", "check", "words"),
    [
        ("sla", UNSENT, SENT, "messages", "rows wait for desk.never-made.v1, which does not exist"),
        ("sla", BLOCKED_ROW, "DELETE FROM runtime.blocked_rows", "messages", "1 keys cannot be sent"),
        ("sla", PARKED, "DELETE FROM runtime.parked", "messages", "1 parked messages"),
        ("sla", REFUSED, "DELETE FROM runtime.refused_logs", "consumer", "the log of desk.devlink.v1 (1 partitions)"),
        ("sla", HALTED, "DELETE FROM runtime.halts", "consumer", "too many keys would be parked in a minute, by 40"),
        ("sla", PASSED_OVER, "DELETE FROM runtime.skipped_types", "consumer", "were passed over before"),
        ("sla", ASIDE, "DELETE FROM runtime.set_aside", "work", "1 pieces of work set aside, 0 calls"),
        ("sla", GIVEN_UP, "DELETE FROM runtime.errands", "work", "0 pieces of work set aside, 1 calls"),
        (
            "sla",
            f"REVOKE SELECT ON sla.alembic FROM {server_of('sla')}",
            f"GRANT SELECT ON sla.alembic TO {server_of('sla')}",
            "schema",
            "has not been migrated to this release",
        ),
        (
            "inventory",
            f"ALTER ROLE {server_of('inventory')} IN DATABASE {database_of('inventory')} RESET lock_timeout",
            f"ALTER ROLE {server_of('inventory')} IN DATABASE {database_of('inventory')} SET lock_timeout = 20000",
            "guards",
            "lock_timeout is off instead of 20 s",
        ),
        (
            "devlink",
            "UPDATE devlink.alembic SET version_num = version_num || '_newer'",
            "UPDATE devlink.alembic SET version_num = replace(version_num, '_newer', '')",
            "schema",
            "this release is older than the database",
        ),
    ],
)
def test_what_is_wrong_in_a_database_is_a_problem_until_it_is_repaired(
    desk: Installation, service: str, damage: str, repair: str, check: str, words: str
) -> None:
    run_sql(desk, service, damage)
    try:
        found = told_by_doctor(desk, f"{service}: {check}", words)
    finally:
        run_sql(desk, service, repair)
    assert found.state == "problem"
    assert words in found.says
    assert found.action
    assert found_by_doctor(desk)[f"{service}: {check}"].state == "ok"


def test_a_service_whose_database_does_not_fit_is_not_ready_and_says_why(desk: Installation) -> None:
    run_sql(desk, "inventory", "CREATE TABLE kept AS TABLE inventory.alembic", "DELETE FROM inventory.alembic")
    try:
        found = found_by_doctor(desk)
    finally:
        run_sql(desk, "inventory", "INSERT INTO inventory.alembic TABLE kept", "DROP TABLE kept")
    assert found["inventory: ready"].state == "problem"
    assert "run `python -m inventory migrate`" in found["inventory: ready"].says
    assert found["tickets: ready"].state == "ok"


def test_a_replica_that_is_not_filled_is_named_with_what_to_look_at(desk: Installation) -> None:
    run_sql(desk, "tickets", f"UPDATE runtime.replicas SET filled_at = NULL WHERE topic = '{CLIENTS.name}'")
    try:
        found = found_by_doctor(desk)["tickets: ready"]
    finally:
        run_sql(desk, "tickets", "UPDATE runtime.replicas SET filled_at = now() WHERE filled_at IS NULL")
    assert found.state == "problem"
    assert f"not filled yet: {CLIENTS.name}" in found.says
    assert "the consumer reads it by itself: does `kafka` above answer" in found.action
    assert found_by_doctor(desk)["tickets: ready"].state == "ok"


def test_topics_that_are_missing_or_otherwise_are_named(desk: Installation) -> None:
    assert found_by_doctor(replace(desk, topic_prefix="never.made."))["topics"].state == "problem"
    bootstrap = Patient(desk).bootstrap
    few = Cluster(bootstrap, "few.")
    with topics(few):
        found = found_by_doctor(replace(desk, topic_prefix="few."))["topics"]
        assert found.state == "problem"
        assert "few.desk.tickets.v1 has 3 partitions instead of 12" in found.says
        assert "few.desk.sla.v1 is missing" in found.says
        # Looking changes nothing.
        assert "few.desk.sla.v1 is missing" in [str(each) for each in asyncio.run(differences(few, TOPICS))]
    assert asyncio.run(differences(Cluster(bootstrap), TOPICS)) == []


@contextmanager
def topics(cluster: Cluster) -> Iterator[None]:
    """Two topics with other settings than the registry's."""
    asyncio.run(create_topics(cluster, [TICKETS, replace(CLIENTS, cleanup="delete")], partitions=3))
    try:
        yield
    finally:
        asyncio.run(delete_topics(cluster))


def test_a_broker_with_other_settings_is_refused_by_up_which_changes_nothing(
    desk: Installation, tmp_path: Path
) -> None:
    """A second installation, with the first one's broker."""
    (tmp_path / "state").mkdir()
    second = Installation(tmp_path / "state", free_base())
    other = Cluster(Patient(desk).bootstrap, "other.")
    with topics(other):
        before = asyncio.run(differences(other, [TICKETS, CLIENTS]))
        try:
            done = say(second, "up", DESK_KAFKA_BOOTSTRAP=other.bootstrap, DESK_TOPIC_PREFIX=other.prefix)
            assert not [each for each in status_of(second).processes if each.identity and each.identity.alive()]
        finally:
            say(second, "reset", "--yes")
        after = asyncio.run(differences(other, [TICKETS, CLIENTS]))
    assert done.returncode == 1
    assert "other.desk.tickets.v1 has 3 partitions instead of 12" in done.stderr
    assert "other.desk.clients.v1 has cleanup.policy=delete instead of compact" in done.stderr
    assert "Traceback" not in done.stderr
    assert after == before


def test_clocks_that_differ_are_warned_of(desk: Installation) -> None:
    done = say(desk, "doctor", "--json", DESK_CLOCK_SKEW_SECONDS="90")
    found = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    for check in ("clock: files", "clock: postgres", "clock: issuer"):
        assert found[check]["state"] == "warning"
        assert "s behind this machine's" in found[check]["says"]


def test_addresses_that_are_wrong_are_named_and_no_password_is_shown(desk: Installation) -> None:
    admin = Patient(desk).admin_url
    assert admin is not None
    wrong = replace(
        desk,
        postgres_url=f"postgresql://postgres:hunter22@{admin.rpartition('@')[2]}",
        kafka_bootstrap=f"{NOBODY_LISTENS},{Patient(desk).bootstrap}",
        given_issuer=desk.url_of("sla"),
    )
    found = found_by_doctor(wrong)
    assert (found["postgres"].state, found["kafka"].state, found["issuer"].state) == ("problem", "warning", "problem")
    assert "DESK_POSTGRES_URL" in found["postgres"].action
    assert f"do not answer: {NOBODY_LISTENS}" in found["kafka"].says
    assert not [each for each in found.values() if "hunter22" in each.says + each.action]
    silent = found_by_doctor(replace(desk, kafka_bootstrap=NOBODY_LISTENS))
    assert silent["kafka"].state == "problem"
    assert "topics" not in silent


def test_a_process_that_had_to_be_started_again_is_counted(desk: Installation) -> None:
    (issuer,) = [each.identity for each in status_of(desk).processes if each.name == "issuer"]
    assert issuer is not None
    os.kill(issuer.pid, signal.SIGKILL)
    wait_until(lambda: status_of(desk).state == "ready" and not issuer.alive() and restarts(desk, "issuer") == 1)
    found = found_by_doctor(desk)
    assert (found["restarts"].state, found["restarts"].says) == (
        "warning",
        "ended and started again by itself: issuer (1)",
    )


def restarts(installation: Installation, name: str) -> int:
    return next(each.restarts for each in status_of(installation).processes if each.name == name)


def test_a_command_of_a_service_is_told_where_this_installation_is(desk: Installation) -> None:
    parked = say(desk, "service", "sla", "messaging", "parked", "--state", "discarded")
    assert (parked.returncode, json.loads(parked.stdout)) == (0, [])
    migrated = say(desk, "service", "sla", "migrate")
    assert (migrated.returncode, "sla: migrated" in migrated.stdout) == (0, True)
    assert say(desk, "service", "sla", "messaging", "parked", "--state", "nonsense").returncode == 2
    unknown = say(desk, "service", "nothing", "migrate")
    assert (unknown.returncode, "There is no service 'nothing'" in unknown.stderr) == (1, True)


def test_a_stopped_installation_is_looked_at_as_far_as_it_goes(desk: Installation) -> None:
    supervisor: Identity | None = status_of(desk).supervisor
    assert say(desk, "down").returncode == 0
    assert supervisor is not None
    assert not supervisor.alive()
    found = found_by_doctor(desk)
    assert found["system"].state == "warning"
    assert "does not run" in found["system"].says
    assert {"secrets", "ports", "jars"} <= set(found)
    assert not {"postgres", "kafka", "topics", "issuer", "sla: schema"} & set(found)
    assert not [each for each in found.values() if each.state == "problem" and each.check != "disk"]


def test_a_database_of_a_newer_release_keeps_the_older_one_from_coming_up_and_is_left_as_it_is(
    desk: Installation,
) -> None:
    server = EmbeddedPostgres(desk.state / "postgres", desk.ports["postgres"])
    server.start()
    run_sql(desk, "devlink", "UPDATE devlink.alembic SET version_num = version_num || '_newer'")
    before = asyncio.run(tables_of(desk, "devlink"))
    server.stop()
    done = say(desk, "up")
    assert done.returncode == 1
    assert "`devlink migrate` was refused: devlink: schema devlink is at" in done.stderr
    assert "which this release does not know: install the newer one" in done.stderr
    assert not [each for each in status_of(desk).processes if each.identity and each.identity.alive()]
    (told,) = [each for each in examine(desk) if each.check == "system"]
    assert (told.state, "install the newer one" in told.says) == ("problem", True)
    server.start()
    try:
        assert asyncio.run(tables_of(desk, "devlink")) == before
    finally:
        server.stop()


async def tables_of(installation: Installation, service: str) -> list[tuple[str, int]]:
    """Every table of a service's database with the number of its rows."""
    found = await rows(
        installation,
        service,
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname IN ('runtime', $1) ORDER BY 1",
        service,
    )
    counted = [(name, await rows(installation, service, f"SELECT count(*) FROM {name}")) for (name,) in found]
    return [(name, row["count"]) for name, (row,) in counted]
