"""Whatever is sent to the APIs: no 500, no answer that the description does not tell of, no row, little work."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from shared.contracts.topics import SLA
from shared.http.permissions import permissions_of
from shared.messaging.kafka import Cluster, end_offsets
from shared.messaging.reactions import collect
from tests.journeys.fuzzing import Fuzzed, Fuzzer
from tests.journeys.prepared import prepare
from tests.load.machine import cpu_of
from tests.shared.messaging.story import send
from tests.support.eventually import eventually
from tests.support.system import SERVICES, System
from tests.support.urgency import impact_of

# Who may do everything that a service offers, and who does the rest.
PERSONAS = {"tickets": "supervisor", "inventory": "implementer", "sla": "admin", "devlink": "developer"}
RULES = ("urgency/schemes", "categories", "resolution-codes")
OTHERS = {
    "tickets": {("PUT", f"/v1/{noun}/{{id}}"): "admin" for noun in ("people", "teams", "rotas", *RULES)}
    | {("POST", f"/v1/{noun}/{{id}}/restore"): "admin" for noun in RULES},
    "inventory": {("PUT", "/v1/clients/{id}"): "supervisor"},
}
# The services that have something for others than a representative.
REFUSING = ("inventory", "sla", "devlink")
ALL_PHASES = "examples,coverage,fuzzing,stateful"


@pytest.fixture(scope="module")
def prepared(system: System) -> dict[str, dict[str, list[str]]]:
    """Tickets in every state and tasks for some of them, so that the actions find something to act on."""
    return asyncio.run(prepare(system))


async def fuzz(
    system: System,
    prepared: Mapping[str, Mapping[str, list[str]]],
    folder: Path,
    personas: Mapping[str, str],
    *,
    examples: int,
    phases: str = ALL_PHASES,
) -> list[Fuzzed]:
    """All services, two at a time."""
    turn = asyncio.Semaphore(2)

    async def one(service: str, persona: str) -> Fuzzed:
        url = system.one(service, "api").url
        others = {each: system.token(other) for each, other in OTHERS.get(service, {}).items() if persona != "agent"}
        fuzzer = Fuzzer(service, url, persona, system.token(persona), folder, prepared[service], others)
        async with turn, httpx2.AsyncClient() as client:
            document = (await client.get(f"{url}/openapi.json")).json()
            return await fuzzer.run(document, examples=examples, phases=phases)

    return await asyncio.gather(*[one(service, persona) for service, persona in personas.items()])


def require_nothing_found(runs: list[Fuzzed]) -> None:
    """Every run ended well; what was counted is printed in any case."""
    print()
    for run in runs:
        print(run.table())
    for run in runs:
        assert run.code == 0, run.told[-6000:]


async def require_all_well(system: System) -> None:
    """Every process still answers, and nothing that was let in stands in the way of a reaction or of the relay."""
    for process in system.all():
        assert await asyncio.to_thread(process.is_ready), f"{process.service} {process.part}"

    await require_everything_applied(system)
    for service in SERVICES:
        assert await system.rows(service, "SELECT topic, problem FROM runtime.parked") == [], service


async def require_everything_applied(system: System, within: float = 60) -> None:
    """Waits so many seconds until every event was sent, and every service has applied or parked what it listens to."""
    heard = {
        service: [topic.name for topic in collect(importlib.import_module(f"{service}.subscribers")).topics]
        for service in SERVICES
    }
    topics = sorted({topic for each in heard.values() for topic in each})
    waits: list[str] = []

    async def nothing_waits() -> bool:
        # In this order: what was read up to the ends before the outboxes were found empty can cause nothing more.
        applied = {
            (service, row["topic"], row["partition"]): row["next_offset"]
            for service in SERVICES
            for row in await system.rows(service, "SELECT topic, partition, next_offset FROM runtime.offsets")
        }
        counted = [await system.rows(service, "SELECT count(*) FROM runtime.outbox") for service in SERVICES]
        ends = await end_offsets(Cluster(system.kafka_bootstrap, system.prefix), topics)
        waits[:] = [f"outbox of {service}" for service, (row,) in zip(SERVICES, counted, strict=True) if row["count"]]
        waits.extend(
            f"{service}: {topic}/{partition}"
            for (topic, partition), end in ends.items()
            for service in SERVICES
            if topic in heard[service] and applied.get((service, topic, partition), 0) < end
        )
        return not waits

    try:
        await eventually(nothing_waits, within=within)
    except AssertionError as error:
        raise AssertionError(f"still waiting: {waits}") from error


async def test_what_a_consumer_has_not_looked_at_yet_is_waited_for(system: System) -> None:
    """Of the waiting itself: with empty outboxes alone, what is parked a moment later would never be seen."""
    await require_everything_applied(system)
    consumer = system.one("tickets", "consumer")
    consumer.pause()
    try:
        await send(Cluster(system.kafka_bootstrap, system.prefix), (SLA.name, b"k", b"{}", [("ce_type", b"unknown")]))
        with pytest.raises(AssertionError, match=f"tickets: {SLA.name}"):
            await require_everything_applied(system, within=0.5)
    finally:
        consumer.resume()
    await require_everything_applied(system)


async def test_nothing_that_a_caller_sends_breaks_a_service_or_its_description(
    system: System, prepared: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    runs = await fuzz(system, prepared, tmp_path, PERSONAS, examples=8)
    require_nothing_found(runs)
    # What takes neither a parameter nor a body can be called in few ways.
    assert [problem for run in runs for problem in run.problems(at_least=5)] == []
    await require_all_well(system)


async def test_whoever_may_not_is_told_so_as_described(
    system: System, prepared: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    runs = await fuzz(
        system, prepared, tmp_path, dict.fromkeys(REFUSING, "agent"), examples=3, phases="examples,fuzzing"
    )
    require_nothing_found(runs)
    allowed = permissions_of(["agent"])
    for run in runs:
        for operation, permission in run.described.items():
            counted = run.answers[operation]
            # The edge looks for a token and at the form of the address before anybody asks for a permission.
            if permission not in allowed:
                assert set(counted) <= {401, 403, 422}, f"{run.service} {operation}: {counted}"
            assert (403 in counted) == (permission not in allowed), f"{run.service} {operation}: {counted}"


OPENING = {
    "client_id": "metalurgica-arenales",
    "product_id": "kontar",
    "kind": "incident",
    "impact": impact_of(2),
    "title": "x",
}


def opening(**changes: str) -> bytes:
    """An opening with other JSON, as text, in some of its fields."""
    told = {name: json.dumps(value) for name, value in OPENING.items()} | changes
    return ("{" + ",".join(f'"{name}":{value}' for name, value in told.items()) + "}").encode()


HOSTILE: dict[str, bytes] = {
    "too large": opening(description='"' + "a" * 300_000 + '"'),
    "ten thousand lists": opening(title="[" * 10_000 + "]" * 10_000),
    "ten thousand objects": opening(impact='{"a":' * 10_000 + "1" + "}" * 10_000),
    "lists without an end": b"[" * 250_000,
    "wide and deep with NUL": opening(title="[" * 20 + ",".join([r'"\u0000"'] * 25_000) + "]" * 20),
    "NUL": opening(reporter=r'"a\u0000b"'),
    "half a character": opening(description=r'"\ud800"'),
    "half a character in a name": opening(**{r"\udfff": "1"}),
    "a raw half character": opening(title='"?"').replace(b"?", b"\xed\xa0\x80"),
    "no UTF-8": opening(title='"?"').replace(b"?", b"\xff"),
    "a byte order mark": b"\xef\xbb\xbf" + opening(),
    "UTF-16": opening().decode().encode("utf-16"),
    "digits": opening(severity="9" * 250_000),
    "four thousand digits": opening(severity="9" * 4000),
    "many numbers of four thousand digits": opening(title="[" + ",".join(["9" * 4000] * 60) + "]"),
    "an exponent": opening(severity="1e999999"),
    "NaN": opening(severity="NaN"),
    "Infinity": opening(severity="-Infinity"),
    "a truth value": opening(severity="true"),
    "a number as a text": opening(severity='"2"'),
    "a name twice": opening()[:-1] + b',"title":"y"}',
    "the first instant of all": opening(reported_at='"0001-01-01T00:00:00+14:00"', reported_late_reason='"x"'),
    "the last instant of all": opening(reported_at='"9999-12-31T23:59:59-12:00"'),
    "an instant as a number": opening(reported_at="1764000000"),
    "ten thousand fields": opening(**{f"a{number}": "1" for number in range(10_000)}),
    "compressed": gzip.compress(opening()),
    "nothing": b"",
    "null": b"null",
}


# One body may cost the process so much of one core; what is refused in time costs hundredths of that.
CPU_SECONDS = 3.0
# How often a body is sent at most until somebody else was answered while it was being looked at.
SENT_AT_MOST = 200


class Watch:
    """Somebody who asks for something simple all the time; `async with` begins and ends it."""

    def __init__(self, url: str) -> None:
        self.url, self.asked = url, 0

    async def __aenter__(self) -> Watch:
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)

    def require_answered_since(self, asked: int, what: str) -> None:
        """Fails when there was no answer since that many."""
        assert not self._asking.done(), f"{what}: somebody else was not answered: {self._asking.exception()!r}"
        assert self.asked > asked, f"{what}: nobody else was answered"

    async def _ask(self) -> None:
        async with httpx2.AsyncClient() as client:
            while True:
                assert (await client.get(f"{self.url}/livez")).status_code == 200
                self.asked += 1
                await asyncio.sleep(0.002)  # a steady rhythm


async def send_hostile(desk: httpx2.AsyncClient, watch: Watch, name: str, body: bytes) -> httpx2.Response:
    """Sends it until somebody else was answered meanwhile; returns the last answer."""
    head = {"content-type": "application/json", **({"content-encoding": "gzip"} if name == "compressed" else {})}
    asked = watch.asked
    answers: list[httpx2.Response] = []
    while watch.asked == asked and len(answers) < SENT_AT_MOST:
        answers.append(await desk.post("/v1/tickets", content=body, headers=head))
    watch.require_answered_since(asked, name)
    return answers[-1]


async def test_hostile_bodies_are_refused_with_advice_store_nothing_and_cost_little(system: System) -> None:
    api = system.one("tickets", "api")
    assert api.running is not None
    pids = [api.running.pid]
    counted = "SELECT (SELECT count(*) FROM tickets.tickets) t, (SELECT count(*) FROM runtime.archive) a"
    before = await system.rows("tickets", counted)
    print()
    async with system.client("tickets", "supervisor") as desk, Watch(api.url) as watch:
        for name, body in HOSTILE.items():
            with cpu_of(lambda: pids) as used:
                answer = await send_hostile(desk, watch, name, body)
            assert answer.status_code in (400, 413, 415, 422), f"{name}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.json()["detail"], name
            assert used.seconds < CPU_SECONDS, name
            print(f"  {name:<40}{answer.status_code}  {used.seconds * 1000:.0f} ms of CPU")
    assert await system.rows("tickets", counted) == before


async def send_half(url: str, half: str) -> tuple[str, dict[str, Any]]:
    """Sends a part of a request and no more; the head of the answer and its problem, once the server has closed."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(half.encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        return head, json.loads(body)
    finally:
        writer.close()


async def test_a_head_and_a_body_that_never_end_are_answered_and_cut_off(system: System) -> None:
    """With the limits that the product has by itself, which take their time: both callers wait at once."""
    url = system.one("tickets", "api").url
    head = "GET /v1/tickets HTTP/1.1\r\nhost: desk\r\n"
    told = opening().decode()
    body = (
        f"POST /v1/tickets HTTP/1.1\r\nhost: desk\r\nauthorization: Bearer {system.token('supervisor')}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(told)}\r\n\r\n{told[:-1]}"
    )
    counted = "SELECT count(*) FROM tickets.tickets"
    before = await system.rows("tickets", counted)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(send_half(url, head), send_half(url, body))
    for answer, code in zip(answers, ("head-too-slow", "body-too-slow"), strict=True):
        assert answer[0].startswith("HTTP/1.1 408 "), answer
        assert "content-type: application/problem+json" in answer[0].lower()
        assert (answer[1]["status"], answer[1]["code"], bool(answer[1]["detail"])) == (408, code, True)
    assert await system.rows("tickets", counted) == before


async def test_hostile_addresses_and_heads_are_refused(system: System) -> None:
    async with system.client() as desk:
        answers = [
            await desk.get("/v1/tickets?q=%00"),
            await desk.get("/v1/tickets/a%00b"),
            await desk.get("/v1/tickets?limit=" + "9" * 20_000),
            await desk.get("/v1/tickets?" + "&".join(["status=x"] * 3000)),
            await desk.get("/v1/tickets?client=%ff"),
            await desk.get("/v1/tickets?after=" + "A" * 2000),
            await desk.post("/v1/tickets", json=OPENING, headers={b"idempotency-key": b"a\xffb"}),
            await desk.post("/v1/tickets", json=OPENING, headers={"idempotency-key": "a" * 300}),
            await desk.get("/v1/tickets", headers={"x-long": "a" * 40_000}),
        ]
    assert [answer.status_code for answer in answers] == [422] * 8 + [431]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


@pytest.mark.verify
@pytest.mark.timeout(3600)
async def test_nothing_breaks_in_a_long_run_either(
    system: System, prepared: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    runs = await fuzz(system, prepared, tmp_path, PERSONAS, examples=300)
    require_nothing_found(runs)
    assert [problem for run in runs for problem in run.problems(at_least=300)] == []
    await require_all_well(system)
