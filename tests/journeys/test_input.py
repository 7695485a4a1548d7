"""Whatever is sent to the APIs: no 500, no answer that the description does not tell of, nothing stored, no delay."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shared.http.permissions import permissions_of
from tests.journeys.desk import act, open_ticket
from tests.journeys.fuzzing import Fuzzed, Fuzzer
from tests.support.eventually import eventually
from tests.support.system import SERVICES, System

# Who may do everything that a service offers, and who does the rest.
PERSONAS = {"tickets": "supervisor", "inventory": "implementer", "sla": "admin", "devlink": "developer"}
OTHERS = {"inventory": {("PUT", "/v1/clients/{id}"): "supervisor"}}
# The services that have something for others than a representative.
REFUSING = ("inventory", "sla", "devlink")
ALL_PHASES = "examples,coverage,fuzzing,stateful"
CLIENTS = ["alimentos-don-evaristo", "metalurgica-arenales", "lacteos-pampa-honda"]
PRODUCTS = ["factela", "kontar"]
# The columns of the board that a new task may go to, and where it goes from there.
NEXT = ["triaged", "in_progress"]
OF_EACH_STATE = 8


@pytest.fixture(scope="module")
def prepared(system: System) -> dict[str, dict[str, list[str]]]:
    """Tickets in every state and tasks for some of them, so that the actions find something to act on."""
    return asyncio.run(_prepare(system))


async def _prepare(system: System) -> dict[str, dict[str, list[str]]]:
    async with system.client("tickets", "supervisor") as desk, system.client("devlink", "developer") as board:
        tickets = [str((await open_ticket(desk, severity=1))["id"]) for _ in range(4 * OF_EACH_STATE)]
        held, resolved, escalated = tickets[0::4], tickets[1::4], tickets[2::4]
        for ticket in held:
            await act(desk, ticket, "hold", reason="agreed-date", note="mañana")
        for ticket in resolved:
            await act(desk, ticket, "resolve", code="error-corregido", text="listo")
        for ticket in escalated:
            await act(desk, ticket, "escalate", target="development", reason="error")

        async def all_tasks() -> list[dict[str, Any]] | None:
            found = (await board.get("/v1/tasks?limit=200")).json()["items"]
            return found if len(found) == len(escalated) else None

        tasks = await eventually(all_tasks)
    any_version = {"header.If-Match": ["*"]}
    of_tickets = {"path.ticket_id": tickets}
    return {
        "tickets": {**any_version, **of_tickets, "body.client_id": CLIENTS, "body.product_id": PRODUCTS},
        "inventory": {
            **any_version,
            **of_tickets,
            "PUT /v1/installations/{id} path.id": ["metalurgica-arenales-kontar"],
            "PUT /v1/installations/{id} body.client_id": ["metalurgica-arenales"],
            "PUT /v1/installations/{id} body.product_id": ["kontar"],
            "PUT /v1/modules/{id} path.id": ["kontar-orden-corte"],
            "PUT /v1/modules/{id} body.client_id": ["metalurgica-arenales"],
            "PUT /v1/modules/{id} body.product_id": ["kontar"],
            "PUT /v1/modules/{id} body.nature": ["customised"],
            "PUT /v1/products/{id} path.id": PRODUCTS,
        },
        "sla": {**any_version, **of_tickets, "path.id": ["metalurgica-arenales-2025"]},
        "devlink": {**any_version, "path.id": [task["id"] for task in tasks or ()], "body.status": NEXT},
    }


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

    async def drained() -> bool:
        counts = [await system.rows(service, "SELECT count(*) FROM runtime.outbox") for service in SERVICES]
        return not any(row["count"] for (row,) in counts)

    await eventually(drained, within=60, what="empty outboxes")
    for service in SERVICES:
        assert await system.rows(service, "SELECT topic, problem FROM runtime.parked") == [], service


async def test_nothing_that_a_caller_sends_breaks_a_service_or_its_description(
    system: System, prepared: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    runs = await fuzz(system, prepared, tmp_path, PERSONAS, examples=8)
    require_nothing_found(runs)
    assert [problem for run in runs for problem in run.problems(at_least=15)] == []
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
            expected = {401, 403, 422} if permission not in allowed else set(counted) - {403}
            assert set(counted) <= expected, f"{run.service} {operation}: {counted}"
            assert (403 in counted) == (permission not in allowed), f"{run.service} {operation}: {counted}"


OPENING = {"client_id": "metalurgica-arenales", "product_id": "kontar", "kind": "incident", "severity": 2, "title": "x"}


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
    "a name twice": opening()[:-1] + b',"severity":1}',
    "the first instant of all": opening(reported_at='"0001-01-01T00:00:00+14:00"', reported_late_reason='"x"'),
    "the last instant of all": opening(reported_at='"9999-12-31T23:59:59-12:00"'),
    "an instant as a number": opening(reported_at="1764000000"),
    "ten thousand fields": opening(**{f"a{number}": "1" for number in range(10_000)}),
    "compressed": gzip.compress(opening()),
    "nothing": b"",
    "null": b"null",
}


class Watch:
    """Somebody who asks for something simple all the time, and how long the longest answer took."""

    def __init__(self, url: str) -> None:
        self.url, self.asked, self.longest = url, 0, 0.0

    async def ask(self) -> None:
        async with httpx2.AsyncClient() as client:
            while True:
                begun = time.perf_counter()
                assert (await client.get(f"{self.url}/livez")).status_code == 200
                self.longest, self.asked = max(self.longest, time.perf_counter() - begun), self.asked + 1
                await asyncio.sleep(0.002)  # a steady rhythm


async def test_hostile_bodies_are_refused_with_advice_and_store_nothing(system: System) -> None:
    watch = Watch(system.one("tickets", "api").url)
    counted = "SELECT (SELECT count(*) FROM tickets.tickets) t, (SELECT count(*) FROM runtime.archive) a"
    before = await system.rows("tickets", counted)
    watching = asyncio.create_task(watch.ask())
    print()
    async with system.client("tickets", "supervisor") as desk:
        for name, body in HOSTILE.items():
            encoding = {"content-encoding": "gzip"} if name == "compressed" else {}
            watch.longest = 0.0
            answer = await desk.post(
                "/v1/tickets", content=body, headers={"content-type": "application/json", **encoding}
            )
            assert answer.status_code in (400, 413, 415, 422), f"{name}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.json()["detail"], name
            print(f"  {name:<40}{answer.status_code}  others waited at most {watch.longest * 1000:.0f} ms")
    assert not watching.done(), f"somebody else was not answered: {watching.exception()!r}"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()
    assert watch.asked > 2
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
