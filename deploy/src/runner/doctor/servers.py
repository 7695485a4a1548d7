"""What the doctor asks the servers: PostgreSQL, the broker and its topics, the issuer; and what time they have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import asyncpg
import httpx2

from runner.doctor.findings import Finding, ok, problem, warning
from runner.doctor.machine import clock_finding
from runner.doctor.patient import Patient
from runner.kafka import cluster_id
from shared import clock
from shared.contracts.topics import ALL_TOPICS
from shared.messaging.kafka import Cluster
from shared.messaging.topics import differences
from shared.telemetry.redaction import redact_text

ANSWER_SECONDS = 5.0
# A Date header has whole seconds, and the answer took a while.
HTTP_SKEW_SECONDS = 2.0


async def check_postgres(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the administrator is let in and may make the databases, and PostgreSQL's clock."""
    url = patient.admin_url
    if not patient.has_postgres or url is None:
        return
    where = url.rpartition("@")[2]
    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        given = "is DESK_POSTGRES_URL right, and does the server run?" if patient.installation.postgres_url else ""
        yield problem(
            "postgres",
            f"{where} does not let the administrator in: {redact_text(str(error) or repr(error))}",
            given or "see `desk logs postgres`; `desk down` and `desk up` put it right",
        )
        return
    try:
        version = connection.get_server_version()
        if not await connection.fetchval(
            "SELECT rolsuper OR (rolcreatedb AND rolcreaterole) FROM pg_roles WHERE rolname = current_user"
        ):
            yield problem(
                "postgres",
                f"the administrator at {where} may not make databases and roles",
                "give its role CREATEDB and CREATEROLE",
            )
        else:
            yield ok("postgres", f"{version.major}.{version.minor} answers at {where}")
        asked = clock.now()
        told = await connection.fetchval("SELECT clock_timestamp()")
        answered = clock.now()
        yield clock_finding(
            "clock: postgres", (told - asked - (answered - asked) / 2).total_seconds(), "PostgreSQL's clock"
        )
    finally:
        await connection.close()


async def check_kafka(patient: Patient) -> AsyncIterator[Finding]:
    """Whether every broker that is named answers, and whether the topics are those of the registry."""
    if not patient.has_kafka:
        return
    answering: list[str] = []
    silent: list[str] = []
    for address in (each.strip() for each in patient.bootstrap.split(",")):
        try:
            known = await asyncio.to_thread(cluster_id, address)
        except (OSError, ValueError) as error:
            silent.append(f"{address} ({error})")
        else:
            (answering if known else silent).append(address if known else f"{address} (not in its cluster yet)")
    given = patient.installation.kafka_bootstrap is not None
    action = "is DESK_KAFKA_BOOTSTRAP right, and does the broker run?" if given else "see `desk logs kafka`"
    if not answering:
        yield problem("kafka", f"no broker answers: {', '.join(silent)}", action)
        return
    if silent:
        yield warning("kafka", f"of the addresses some do not answer: {', '.join(silent)}", action)
    else:
        yield ok("kafka", f"answers at {', '.join(answering)}; it tells no time, so keep its clock by NTP")
    yield await _check_topics(patient, ",".join(answering))


async def _check_topics(patient: Patient, bootstrap: str) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_SECONDS * 2):
            found = await differences(Cluster(bootstrap, patient.installation.topic_prefix), ALL_TOPICS)
    except Exception as error:  # The client's errors have no common root that may be named outside shared.messaging.
        return problem("topics", f"could not be read: {error!r}", "see the broker's log")
    if not found:
        return ok("topics", f"{len(ALL_TOPICS)} exist with the registry's settings")
    told = "; ".join(str(each) for each in found)
    if all(each.says == "is missing" for each in found):
        late = problem if patient.settled else warning
        return late("topics", told, "`desk up` makes them")
    return problem("topics", told, "; ".join(dict.fromkeys(each.action for each in found)))


async def check_issuer(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the issuer of tokens answers under its own name, and its clock."""
    at = patient.installation
    if not (patient.running or at.given_issuer):
        return
    url = at.issuer_url.rstrip("/")
    action = "is DESK_OIDC_ISSUER right?" if at.given_issuer else "see `desk logs issuer`"
    try:
        # A proxy is for what is elsewhere.
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=at.given_issuer is not None) as client:
            answer = await client.get(f"{url}/.well-known/openid-configuration")
            named = str(answer.raise_for_status().json()["issuer"]).rstrip("/")
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        yield problem("issuer", f"{url} does not answer as one: {redact_text(str(error) or repr(error))}", action)
        return
    if named != url:
        yield problem("issuer", f"{url} calls itself {named}, so its tokens are refused", action)
    else:
        yield ok("issuer", f"{url} answers")
    if "date" in answer.headers:
        ahead = (parsedate_to_datetime(answer.headers["date"]) - clock.now()).total_seconds() + 0.5
        yield clock_finding("clock: issuer", ahead, "the issuer's clock", HTTP_SKEW_SECONDS)
