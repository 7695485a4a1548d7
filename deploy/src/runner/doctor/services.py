"""What the doctor asks of the services: their processes, whether they are ready, their schema, and what waits."""

# ruff: noqa: S608 - what is put into the statement is written in the source of the relay

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import asyncpg
import httpx2

from runner.doctor.findings import Finding, ok, problem, warning
from runner.doctor.patient import Patient
from runner.status import ProcessStatus
from shared import clock
from shared.db.engine import Engine, make_engine
from shared.db.guards import HOW_TO_SET, missing_guards
from shared.db.schema import SchemaNewer, SchemaOlder, read_histories, require_schema
from shared.db.statement import sql
from shared.messaging import refusals, stops
from shared.messaging.outgoing import WITHHELD_TOPICS
from shared.telemetry.redaction import redact_text

ANSWER_SECONDS = 5.0
LATE_SECONDS = 10.0
STUCK_SECONDS = 60.0

_UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_WAITING = sql(f"""
    SELECT (SELECT count(*) FROM (SELECT FROM runtime.outbox LIMIT 100000) counted) AS outbox,
           (SELECT recorded_at FROM runtime.archive
             WHERE position = (SELECT min(position) FROM runtime.outbox)) AS oldest,
           ARRAY({WITHHELD_TOPICS} ORDER BY topic) AS closed,
           (SELECT count(*) FROM runtime.parked WHERE state = 'waiting') AS parked,
           (SELECT min(parked_at) FROM runtime.parked WHERE state = 'waiting') AS parked_since,
           (SELECT count(*) FROM runtime.blocked_keys) AS blocked,
           (SELECT count(*) FROM runtime.blocked_keys WHERE gave_up) AS gave_up,
           (SELECT count(*) FROM runtime.blocked_rows) AS blocked_rows,
           (SELECT count(*) FROM runtime.set_aside) AS set_aside,
           (SELECT count(*) FROM runtime.errands WHERE state = 'given-up') AS given_up
""")


def check_processes(patient: Patient) -> Iterator[Finding]:
    """Whether everything that was started still runs, and how often it had to be started again."""
    status = patient.status
    if status is None:
        yield warning("system", "was never started; its servers and services were not looked at", "say `desk up`")
        return
    if not patient.running:
        left = sorted({each.name for each in status.processes if each.identity and each.identity.alive()})
        if left:
            yield problem("system", f"its supervisor is gone and left {', '.join(left)} running", "say `desk up`")
        elif status.state == "failed":
            yield problem("system", f"did not come up: {_sentences(status.error)}", "mend that and say `desk up`")
        else:
            yield warning("system", "does not run; only what can be seen without it was checked", "say `desk up`")
        return
    if status.error:
        yield problem("system", status.error, "see `disk` above and `desk logs supervisor`")
    else:
        yield ok("system", f"{status.state}, supervisor pid {status.supervisor.pid if status.supervisor else 0}")
    yield from _check_each(patient, status.processes)


def _sentences(error: str) -> str:
    """An error without the log lines for machines in it, and without what it says twice."""
    spoken = [line for line in redact_text(error).splitlines() if not line.startswith("{")]
    return " ".join(dict.fromkeys(spoken))


def _check_each(patient: Patient, processes: list[ProcessStatus]) -> Iterator[Finding]:
    dead = [each.name for each in processes if not (each.identity and each.identity.alive())]
    waiting = [each.name for each in processes if each.name not in dead and not each.ready]
    again = [f"{each.name} ({each.restarts})" for each in processes if each.restarts]
    late = problem if patient.settled else warning
    if dead:
        yield late("processes", f"not running: {', '.join(dead)}", f"see `desk logs {dead[0]}`")
    if waiting:
        yield late("processes", f"not ready: {', '.join(waiting)}", f"see `desk logs {waiting[0]}`")
    if again:
        which = again[0].split()[0]
        action = f"see `desk logs {which}` for why; `desk down` and `desk up` count anew"
        yield warning("restarts", f"ended and started again by itself: {', '.join(again)}", action)
    if not (dead or waiting or again):
        yield ok("processes", f"{len(processes)} alive and ready, none was ever started again")


async def check_service(patient: Patient, service: str) -> AsyncIterator[Finding]:
    """One service: what it says of itself, and what its database says."""
    if patient.running:
        yield await _check_readiness(patient, service)
    url = patient.database_url(service)
    if not patient.has_postgres or url is None:
        return
    engine = make_engine(url, application="desk doctor", pool_size=2)
    try:
        async for finding in _check_database(engine, service, patient):
            yield finding
    finally:
        await engine.dispose()


async def _check_readiness(patient: Patient, service: str) -> Finding:
    name = f"{service}: ready"
    late = problem if patient.settled else warning
    try:
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.get(f"{patient.installation.url_of(service)}/readyz")
            told: dict[str, Any] = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        return late(name, f"does not answer: {error!r}", f"see `desk logs {service}`")
    failed = {check: why for check, why in told.get("checks", {}).items() if why != "ok"}
    failed |= told.get("status", {}).get("problems", {})
    if failed or answer.status_code != 200:
        told_why = "; ".join(f"{check}: {why}" for check, why in failed.items()) or f"status {answer.status_code}"
        return late(name, told_why, _how_to_be_ready(service, failed))
    return ok(name, f"yes: {', '.join(told['checks'])}")


def _how_to_be_ready(service: str, failed: Collection[str]) -> str:
    if set(failed) == {"replicas"}:
        return (
            "reference data of other services is still missing; the consumer reads it by itself: does `kafka` above "
            f"answer, are `{service}: messages` well? `desk logs {service}` says what the consumer does"
        )
    return f"mend what it names; see `desk logs {service}`"


async def _check_database(engine: Engine, service: str, patient: Patient) -> AsyncIterator[Finding]:
    histories = read_histories(service)
    late = problem if patient.settled else warning
    try:
        async with engine.connect() as connection:
            await require_schema(connection, service, histories)
        yield ok(f"{service}: schema", " and ".join(sorted(head for each in histories for head in each.heads)))
        async with engine.connect() as connection:
            missing = await missing_guards(connection)
            waiting = await connection.fetch_one(_WAITING)
            stopped = await stops.present(connection, service)
    except SchemaNewer as error:
        yield problem(f"{service}: schema", error.message, "take the newer release; nothing here can go back")
    except SchemaOlder as error:
        yield late(f"{service}: schema", error.message, "`desk up` migrates")
    except _UNREACHABLE as error:
        yield late(
            f"{service}: database",
            f"cannot be read: {redact_text(str(error) or repr(error)).splitlines()[0]}",
            _how_to_reach(patient, error),
        )
    else:
        yield _judge_guards(service, missing)
        for finding in (*judge_waiting(service, waiting, clock.now()), *judge_stopped(service, stopped)):
            yield finding
        yield judge_work(service, waiting)


def _judge_guards(service: str, missing: list[str]) -> Finding:
    name = f"{service}: guards"
    if missing:
        return problem(
            name, f"its role may hold what it locked for ever: {', '.join(missing)}", f"`desk up`, or {HOW_TO_SET}"
        )
    return ok(name, "no session holds what it locked for ever")


def _how_to_reach(patient: Patient, error: Exception) -> str:
    if patient.installation.postgres_url:
        return "is DESK_POSTGRES_URL right, does that server run? `desk up` makes the database and its roles there"
    if patient.running and isinstance(error, OSError):
        return "it follows from `postgres` above: the server is started again by itself; see `desk logs postgres`"
    return "`desk up` makes the database and its roles, and starts its server"


def judge_waiting(service: str, waiting: Any, now: datetime) -> Iterator[Finding]:
    """What is said of a row of `_WAITING`: outbox, parked messages, blocked keys, keys that cannot be sent."""
    name, command = f"{service}: messages", f"`desk service {service} messaging"
    old = (now - waiting.oldest).total_seconds() if waiting.oldest else 0.0
    parked_for = (now - waiting.parked_since).total_seconds() if waiting.parked_since else 0.0
    found = []
    if old > LATE_SECONDS:
        found.append(
            (problem if old > STUCK_SECONDS else warning)(
                name,
                f"{waiting.outbox} committed and not sent, the oldest for {old:.0f} s",
                f"does the broker answer, does a relay lead? {command} backlog` and {command} leader` tell",
            )
        )
    if waiting.parked or waiting.blocked:
        stuck = waiting.gave_up or parked_for > STUCK_SECONDS
        found.append(
            (problem if stuck else warning)(
                name,
                f"{waiting.parked} parked messages, {waiting.blocked} keys blocked, the oldest for {parked_for:.0f} s"
                + (f"; {waiting.gave_up} keys are no longer tried by themselves" if waiting.gave_up else ""),
                f"{command} parked` shows each with its reason; mend that, then `... messaging retry`, or give one up "
                "with `... messaging discard NUMBER --reason ...`",
            )
        )
    found += _judge_withheld(name, command, waiting)
    yield from found or [ok(name, f"{waiting.outbox} waiting to be sent, none parked, no key held back")]


def _judge_withheld(name: str, command: str, waiting: Any) -> Iterator[Finding]:
    if waiting.closed:
        yield problem(
            name,
            f"rows wait for {', '.join(waiting.closed)}, which does not exist or may not be written",
            "make it (`python -m shared.messaging topics`), or give this service its right; the rows then go by "
            "themselves",
        )
    if waiting.blocked_rows:
        yield problem(
            name,
            f"{waiting.blocked_rows} keys cannot be sent",
            f"{command} backlog` says why; mend that, then `... release TOPIC KEY` lets the relay try again",
        )


def judge_work(service: str, waiting: Any) -> Finding:
    """What is said of work that nobody does any more."""
    name, command = f"{service}: work", f"`desk service {service} work"
    if waiting.set_aside or waiting.given_up:
        return problem(
            name,
            f"{waiting.set_aside} pieces of work set aside, {waiting.given_up} calls to other systems given up",
            f"{command} set-aside` shows each with its reason; mend that, then `... work retry JOB KEY`, or forget one "
            "with `... work discard JOB KEY`",
        )
    return ok(name, "none was set aside, none given up")


def judge_stopped(service: str, stopped: Mapping[str, list[dict[str, Any]]]) -> Iterator[Finding]:
    """What is said of what only an operator can end: refused logs, a consumer that halted, events that were passed
    over."""
    name, command = f"{service}: consumer", f"`desk service {service} messaging"
    for topic in sorted({row["topic"] for row in stopped.get("refused_logs", [])}):
        rows = [row for row in stopped["refused_logs"] if row["topic"] == topic]
        which = "the cluster" if topic == refusals.WHOLE_CLUSTER else f"the log of {topic} ({len(rows)} partitions)"
        yield problem(
            name,
            f"{which} is refused: {rows[0]['why']}, {rows[0]['shows']}",
            f"if that is meant, {command} {refusals.command_for(topic)}` reads it from its beginning, and the inbox "
            "keeps effects single; with --dry-run it only tells what it would do",
        )
    for row in stopped.get("halted", []):
        yield problem(
            name,
            f"stopped at {row['topic']}/{row['partition']}, offset {row['offset']}: too many keys would be parked in a "
            f"minute, by {row['lacking']}",
            "is it a bad release, take another; are it bad messages, "
            f"{command} accept {row['topic']} --keys {row['lacking']} --reason ...` parks them, and it goes on by "
            "itself",
        )
    for type_name in sorted({row["type"] for row in stopped.get("passed_over", [])}):
        yield problem(
            name,
            f"events of {type_name}, to which this release reacts, were passed over before",
            f"{command} replay {type_name}` applies them late (--dry-run tells from where), "
            f"`... messaging accept-skipped {type_name} --reason ...` leaves them out",
        )
    if not any(stopped.values()):
        yield ok(name, "no log is refused, no consumer stopped, nothing was passed over")
