"""Serving: it ends in order, and says when it cannot begin."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from shared.http.auth import needs
from shared.http.server import serve
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.support.eventually import eventually


async def test_a_request_in_flight_ends_before_the_server_does(issuer: LocalIssuer) -> None:
    routes, begun, go_on = (
        APIRouter(prefix="/v1", dependencies=[needs("ticket:read")]),
        asyncio.Event(),
        asyncio.Event(),
    )

    @routes.get("/long")
    async def work_long() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("ended")

    app = sample_app(issuer.url, routers=[routes], lifespan=lifespan)
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, host="127.0.0.1", port=0, stop=stop, bound=port.set_result))
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {issuer.token()}"}) as client:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{await port}/v1/long"))
        await asyncio.wait_for(begun.wait(), 20)
        stop.set()

        async def refuses() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port.result())) != 0

        await eventually(refuses, what="a server that takes no new connections")
        go_on.set()
        assert (await asked).json() == "done"
    await asyncio.wait_for(serving, 20)
    assert events == ["started", "ended"]


async def test_an_application_that_does_not_start_is_an_error(issuer: LocalIssuer) -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        raise ConnectionError("nothing there")
        yield {}

    app = sample_app(issuer.url, lifespan=lifespan)
    with pytest.raises(RuntimeError, match="did not start"):
        await asyncio.wait_for(serve(app, host="127.0.0.1", port=0, stop=asyncio.Event()), 20)
