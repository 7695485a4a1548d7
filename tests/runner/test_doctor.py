"""What the doctor sees of a machine on which nothing runs: disk, folder, secrets, ports, caches, registry."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jgo.constants
import pytest

from runner.doctor import examine, machine
from runner.doctor.findings import Finding
from runner.doctor.machine import check_caches, check_disk, check_ports, check_secrets, check_state_folder
from runner.doctor.patient import Patient
from runner.doctor.services import check_processes, judge_stopped, judge_waiting, judge_work
from runner.errors import RunnerError
from runner.installation import Installation, command
from runner.jars import ensure_jars, read_lock
from runner.private_files import write_private
from runner.processes import Identity
from runner.status import ProcessStatus, Status, write_status
from shared import clock
from tests.support.installations import free_base
from tests.support.servers import CACHE

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    (tmp_path / "state").mkdir()
    return Patient(Installation(tmp_path / "state", free_base()))


def states(findings: Iterable[Finding]) -> dict[str, str]:
    return {each.check: each.state for each in findings}


def doctor(state: Path, *words: str, before: Callable[[], None] | None = None, **environment: str) -> Any:
    """The command as a user runs it."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DESK_")}
    return subprocess.run(
        command("runner.cli", "doctor", *words),
        env={**given, "DESK_STATE": str(state), "DESK_PORT_BASE": str(free_base()), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=before,
    )


def test_where_nothing_was_ever_started_it_says_so_and_leaves_no_trace(tmp_path: Path) -> None:
    done = doctor(tmp_path / "state", "--json")
    told = json.loads(done.stdout)
    found = {each["check"]: each for each in told["findings"]}
    assert (done.returncode, told["healthy"]) == (0, True)
    assert found["system"]["state"] == "warning"
    assert "never started" in found["system"]["says"]
    assert found["system"]["action"] == "say `desk up`"
    assert {"python", "packages", "disk", "state folder", "secrets", "ports", "jars", "registry"} <= set(found)
    assert "postgres" not in found
    assert list(tmp_path.iterdir()) == []


def test_every_warning_and_every_problem_says_what_to_do(patient: Patient) -> None:
    write_private(patient.installation.state / "passwords" / "desk_sla_owner", "x")
    (patient.installation.state / "passwords" / "desk_sla_owner").chmod(0o644)
    findings = examine(patient.installation)
    assert states(findings)["secrets"] == "problem"
    assert all(each.action for each in findings if each.state != "ok")
    assert not any("\n" in each.says + each.action for each in findings)


def test_a_line_a_check_and_exit_code_one_for_a_problem(tmp_path: Path) -> None:
    done = doctor(tmp_path / "state", DESK_ENV="production")
    lines = done.stdout.split("\n\n")[0].splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("problem environment")
    assert "python -m <service> config check" in lines[0]
    assert all(line.startswith(("ok ", "warning ", "problem ")) for line in lines)


@pytest.mark.parametrize(("least", "small", "state"), [(2**60, 2**61, "problem"), (0, 2**60, "warning"), (0, 0, "ok")])
def test_a_disk_that_fills_up_is_told_before_it_is_full(patient: Patient, least: int, small: int, state: str) -> None:
    findings = list(check_disk(patient, least, small))
    assert {each.state for each in findings} == {state}
    assert all("free under" in each.says for each in findings)


def test_a_disk_that_takes_nothing_any_more_is_a_problem_and_no_half_a_file_stays(tmp_path: Path) -> None:
    """The kernel refuses every write of this process, as a full disk does."""

    def refuse_writes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    (tmp_path / "state").mkdir()
    done = doctor(tmp_path / "state", "--json", before=refuse_writes)
    (folder,) = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "state folder"]
    assert done.returncode == 1
    assert folder["state"] == "problem"
    assert "cannot be written: File too large" in folder["says"]
    assert list((tmp_path / "state").iterdir()) == []


def test_a_state_folder_that_cannot_be_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = doctor(tmp_path / "file" / "state", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["healthy"] is False
    assert "Traceback" not in done.stderr


def test_a_state_folder_in_which_everybody_writes_is_unsafe(patient: Patient) -> None:
    assert states(check_state_folder(patient)) == {"state folder": "ok", "clock: files": "ok"}
    patient.installation.state.chmod(0o777)
    found = next(iter(check_state_folder(patient)))
    assert (found.state, found.action) == ("problem", f"say `chmod o-w {patient.installation.state}`")


@pytest.mark.parametrize("path", ["passwords/desk_sla_owner", "issuer/key.pem", "issuer/secret", "postgres/password"])
def test_a_secret_that_others_can_read_is_named(patient: Patient, path: str) -> None:
    secret = patient.installation.state / path
    write_private(secret, "secret")
    assert states(check_secrets(patient)) == {"secrets": "ok"}
    secret.chmod(0o640)
    (found,) = check_secrets(patient)
    assert found.state == "problem"
    assert f"chmod 600 {secret}" in found.action


def test_a_port_that_somebody_else_holds_is_named_with_its_holder(patient: Patient) -> None:
    port = patient.installation.ports["sla"]
    with socket.create_server(("127.0.0.1", port)):
        (found,) = check_ports(patient)
    assert (found.check, found.state) == (f"port {port}", "problem")
    assert f"wanted for sla, is held by pid {os.getpid()}" in found.says


def test_a_port_that_our_own_process_holds_is_well(patient: Patient) -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    write_private(patient.installation.records / "sla.json", json.dumps({"pid": me.pid, "started": me.started}))
    with socket.create_server(("127.0.0.1", patient.installation.ports["sla"])):
        (found,) = check_ports(patient)
    assert found.state == "ok"
    assert "1 held by this installation" in found.says


def with_jars(patient: Patient) -> Path:
    """A cache with the jars alone, in this test's own folder."""
    first = ensure_jars(CACHE)[0]
    kafka = patient.installation.cache / "kafka" / first.parents[2].name
    shutil.copytree(first.parents[1], kafka / "environment")
    return kafka / "environment"


def test_jars_are_compared_with_the_lock(patient: Patient) -> None:
    assert states(check_caches(patient))["jars"] == "warning", "none are there: not broken, `desk up` fetches them"
    environment = with_jars(patient)
    assert states(check_caches(patient))["jars"] == "ok"
    tampered = next(environment.glob(f"*/{read_lock()[0].file}"))
    with tampered.open("ab") as file:
        file.write(b"\0")
    (jars, *_) = check_caches(patient)
    assert jars.state == "problem"
    assert tampered.name in jars.says


def test_a_registry_that_does_not_answer_matters_only_while_something_is_missing(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jgo.constants, "MAVEN_CENTRAL_URL", NOBODY_LISTENS)
    assert states(check_caches(patient))["registry"] == "problem"
    with_jars(patient)
    registry = list(check_caches(patient))[-1]
    assert (registry.check, registry.state) == ("registry", "warning")
    assert f"{NOBODY_LISTENS} does not answer" in registry.says


def test_jars_that_cannot_be_fetched_are_told_in_a_sentence_and_nothing_looks_whole(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, NOBODY_LISTENS)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    cache = patient.installation.cache
    with pytest.raises(
        RunnerError, match=r"Kafka's jars could not be fetched: \S+ does not answer through the proxy 127\.0\.0\.1:9"
    ):
        ensure_jars(cache)
    assert not list(cache.rglob("*.jar"))
    (jars, *_) = check_caches(patient)
    assert jars.says == f"{len(read_lock())} of {len(read_lock())} are not there yet"


def test_a_given_broker_needs_no_jars(tmp_path: Path) -> None:
    given = Patient(Installation(tmp_path, kafka_bootstrap="kafka.example:9092"))
    assert [each.check for each in check_caches(given)] == ["jars"]


@pytest.mark.parametrize(("ahead", "state"), [(0.4, "ok"), (-0.4, "ok"), (1.5, "warning"), (-90.0, "warning")])
def test_a_clock_that_differs_by_more_than_a_second_is_told(ahead: float, state: str) -> None:
    found = machine.clock_finding("clock", ahead, "its clock")
    assert found.state == state
    if state == "warning":
        assert f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's" in found.says


def waiting(**changes: Any) -> SimpleNamespace:
    """A row of what waits in a service's database: nothing, but for the changes."""
    nothing: dict[str, Any] = {"oldest": None, "parked_since": None, "closed": []}
    counts = dict.fromkeys(("outbox", "parked", "blocked", "gave_up", "blocked_rows"), 0)
    return SimpleNamespace(**{**nothing, **counts, **changes})


NOW = clock.now()


@pytest.mark.parametrize(
    ("row", "state", "words"),
    [
        (waiting(), "ok", "none parked"),
        (waiting(outbox=3, oldest=NOW - timedelta(seconds=2)), "ok", "3 waiting to be sent"),
        (waiting(outbox=3, oldest=NOW - timedelta(seconds=20)), "warning", "the oldest for 20 s"),
        (waiting(outbox=3, oldest=NOW - timedelta(hours=1)), "problem", "the oldest for 3600 s"),
        (waiting(parked=2, blocked=1, parked_since=NOW - timedelta(seconds=5)), "warning", "2 parked messages"),
        (waiting(parked=2, blocked=1, parked_since=NOW - timedelta(minutes=5)), "problem", "1 keys blocked"),
        (waiting(parked=2, blocked=1, gave_up=1, parked_since=NOW), "problem", "2 parked messages"),
        (waiting(blocked_rows=1), "problem", "1 keys cannot be sent"),
        (waiting(closed=["desk.sla.v1"]), "problem", "rows wait for desk.sla.v1"),
    ],
)
def test_what_waits_in_a_database_is_judged_by_its_age(row: SimpleNamespace, state: str, words: str) -> None:
    (found,) = judge_waiting("sla", row, NOW)
    assert (found.check, found.state) == ("sla: messages", state)
    assert words in found.says
    assert state == "ok" or "desk service sla messaging" in found.action or "shared.messaging topics" in found.action


@pytest.mark.parametrize(("set_aside", "given_up"), [(3, 0), (0, 2)])
def test_work_that_nobody_does_any_more_is_a_problem_with_the_command(set_aside: int, given_up: int) -> None:
    found = judge_work("sla", SimpleNamespace(set_aside=set_aside, given_up=given_up))
    assert (found.check, found.state) == ("sla: work", "problem")
    assert f"{set_aside} pieces of work set aside, {given_up} calls to other systems given up" in found.says
    assert "`desk service sla work set-aside`" in found.action
    assert judge_work("sla", SimpleNamespace(set_aside=0, given_up=0)).state == "ok"


STOPPED: dict[str, list[dict[str, Any]]] = {
    "refused_logs": [
        {"topic": "*", "partition": 0, "why": "this database has read cluster a", "shows": "the brokers belong to b"},
        {"topic": "desk.sla.v1", "partition": 1, "why": "the log is behind the database", "shows": "it ends at 7"},
        {"topic": "desk.sla.v1", "partition": 4, "why": "the log is behind the database", "shows": "it ends at 0"},
    ],
    "halted": [{"topic": "desk.sla.v1", "partition": 3, "offset": 17, "lacking": 40}],
    "passed_over": [{"type": "desk.ticket.assigned.v1", "topic": "desk.tickets.v1", "partition": 0}],
}


def test_what_only_an_operator_can_end_is_told_with_the_command() -> None:
    told = list(judge_stopped("tickets", STOPPED))
    assert {(each.check, each.state) for each in told} == {("tickets: consumer", "problem")}
    cluster, log, halted, passed_over = told
    assert "adopt-cluster`" in cluster.action
    assert "the log of desk.sla.v1 (2 partitions) is refused" in log.says
    assert "`desk service tickets messaging adopt-log desk.sla.v1`" in log.action
    assert "`desk service tickets messaging accept desk.sla.v1 --keys 40 --reason" in halted.action
    assert "`desk service tickets messaging replay desk.ticket.assigned.v1`" in passed_over.action
    assert "accept-skipped desk.ticket.assigned.v1 --reason" in passed_over.action
    assert [each.state for each in judge_stopped("tickets", {})] == ["ok"]


def test_what_a_killed_supervisor_left_running_is_named(patient: Patient) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(child.pid)
    assert identity is not None
    left = ProcessStatus("sla", 1, "", pid=identity.pid, started=identity.started)
    gone = Identity(2**22 + 1, "another-boot:1")
    write_status(patient.installation.state / "status.json", Status("ready", supervisor=gone, processes=[left]))
    try:
        (found,) = check_processes(patient)
    finally:
        child.kill()
        child.wait()
    assert (found.state, found.says) == ("problem", "its supervisor is gone and left sla running")


def test_why_it_did_not_come_up_is_told_without_the_lines_for_machines(patient: Patient) -> None:
    error = 'sla: database: failed. The end of x:\n{"event":"migrated"}\nsla: too new\n{"event":"again"}\nsla: too new'
    write_status(patient.installation.state / "status.json", Status("failed", error=error))
    (found,) = check_processes(patient)
    assert found.says == "did not come up: sla: database: failed. The end of x: sla: too new"


def test_a_check_that_fails_itself_does_not_silence_the_others(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Patient) -> Iterable[Finding]:
        raise OSError("no such thing")

    monkeypatch.setattr(machine, "check_ports", broken)
    found = states(examine(patient.installation))
    assert found["ports"] == "problem"
    assert found["system"] == "warning"
