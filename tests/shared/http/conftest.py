"""An issuer, a database of its own, and applications around a few routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp

from shared.http.connections import ConnectionLimits
from shared.http.server import serve
from tests.shared.http.issuer import LocalIssuer
from tests.shared.output import Output, written


@pytest.fixture
async def issuer() -> AsyncIterator[LocalIssuer]:
    async with LocalIssuer().serving() as local:
        yield local


@pytest.fixture
def output() -> Iterator[Output]:
    with written() as made:
        yield made


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """An empty database that lives as long as one test."""
    name = f"http_{uuid4().hex}"
    administrator = await asyncpg.connect(postgres_url)
    await administrator.execute(f"CREATE DATABASE {name}")
    try:
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    finally:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await administrator.close()


def client_of(app: FastAPI, token: str | None) -> httpx2.AsyncClient:
    """A client that calls the application without a network, with a token when one is given."""
    head = {"authorization": f"Bearer {token}"} if token is not None else {}
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://desk", headers=head)


@asynccontextmanager
async def served(app: ASGIApp, limits: ConnectionLimits | None = None) -> AsyncIterator[int]:
    """The application on a real port, as it runs in production, or with other limits."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(app, host="127.0.0.1", port=0, stop=stop, bound=port.set_result, limits=limits))
    try:
        yield await port
    finally:
        stop.set()
        await running
