"""Health: alive, ready, and what is only shown."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx2
import pytest

from shared.http import health
from shared.http.health import Check, Health, health_app, serve_health
from shared.http.server import serve
from tests.shared.http.conftest import client_of, served
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.support.eventually import eventually


async def well() -> None:
    """Everything is there."""


async def broken() -> None:
    raise ConnectionRefusedError("postgresql://desk:hunter22@db/x does not answer")


async def endless() -> None:
    await asyncio.Event().wait()


def client(checked: Health) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=health_app(checked)), base_url="http://health")


async def test_a_process_is_ready_when_every_check_passes() -> None:
    async with client(Health("sla", [Check("database", well), Check("broker", well)])) as asked:
        answer = await asked.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "service": "sla",
        "ready": True,
        "checks": {"database": "ok", "broker": "ok"},
        "status": {},
    }


async def test_a_process_that_is_not_ready_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
    checks = [Check("database", broken), Check("broker", well), Check("replicas", endless)]
    async with asyncio.timeout(20), client(Health("sla", checks)) as asked:
        answer = await asked.get("/readyz")
    told = answer.json()
    assert (answer.status_code, told["ready"]) == (503, False)
    assert told["checks"]["broker"] == "ok"
    assert told["checks"]["replicas"] == "no answer within 0.05 s"
    assert "ConnectionRefusedError" in told["checks"]["database"]
    assert "hunter22" not in answer.text


@pytest.mark.parametrize("fails", ["error", "never answers"])
async def test_what_is_only_shown_never_makes_a_process_unready(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)

    async def status() -> dict[str, Any]:
        await (broken() if fails == "error" else endless())
        return {}

    async with client(Health("tickets", [Check("database", well)], status)) as asked:
        answer = await asked.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"]["error"]


async def test_the_status_is_shown() -> None:
    async def status() -> dict[str, Any]:
        return {"outbox_backlog": 7}

    async with client(Health("tickets", [], status)) as asked:
        assert (await asked.get("/readyz")).json()["status"] == {"outbox_backlog": 7}


@pytest.mark.parametrize(("alive", "status"), [(True, 200), (False, 503)])
async def test_a_process_that_cannot_go_on_says_so(alive: bool, status: int) -> None:
    async with client(Health("tickets", alive=lambda: alive)) as asked:
        answer = await asked.get("/livez")
    assert (answer.status_code, answer.json()["alive"]) == (status, alive)


async def test_the_small_application_has_nothing_else() -> None:
    async with client(Health("tickets")) as asked:
        assert "desk_outbox_backlog" in (await asked.get("/metrics")).text
        assert (await asked.get("/openapi.json")).status_code == 404


async def test_an_application_answers_for_its_own_health(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, readiness=[Check("database", broken)])
    async with client_of(app, None) as asked:
        assert (await asked.get("/livez")).status_code == 200
        answer = await asked.get("/readyz")
        assert (await asked.get("/metrics")).headers["content-type"].startswith("text/plain; version=")
    assert (answer.status_code, list(answer.json()["checks"])) == (503, ["database"])


async def test_health_is_served_until_it_is_told_to_stop() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_health(Health("relay"), host="127.0.0.1", port=port, stop=stop))
    async with httpx2.AsyncClient() as asked:

        async def answered() -> httpx2.Response | None:
            try:
                return await asked.get(f"http://127.0.0.1:{port}/livez")
            except httpx2.ConnectError:
                return None

        answer = await eventually(answered, what="an answer of /livez")
    assert answer is not None
    assert answer.json() == {"service": "relay", "alive": True}
    stop.set()
    await asyncio.wait_for(serving, 20)
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0


async def test_a_port_that_is_taken_is_named() -> None:
    async with served(health_app(Health("relay"))) as port:
        with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be listened on"):
            await serve(health_app(Health("relay")), host="127.0.0.1", port=port, stop=asyncio.Event())


async def test_the_addresses_alone_know_get_and_head_and_say_so() -> None:
    async with client(Health("relay")) as asked:
        head, other, nowhere = await asked.head("/livez"), await asked.post("/livez"), await asked.get("/nothing")
    assert (head.status_code, head.content) == (200, b"")
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")
    assert nowhere.status_code == 404
