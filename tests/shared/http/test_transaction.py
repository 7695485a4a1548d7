"""The transaction of a route on a real PostgreSQL: committed before the answer, undone after an error, else 503."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from shared.db.engine import Engine, make_engine
from shared.errors import Unavailable
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.support.proxy import path_to
from tests.support.servers import private_postgres
from tests.support.statements import watched

UNAVAILABLE = (503, "unavailable", "2")


def outcome(answer: httpx2.Response) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["code"], answer.headers.get("retry-after")


# The connections of this test's application: other tests have one of that name on the same server.
OURS = "application_name = 'sample' AND datname = current_database()"


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the application's, to see what was really committed."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE rows (number int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    yield connection
    await connection.close()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    made = make_engine(database_url, application="sample", pool_size=2)
    yield made
    await made.dispose()


class Hints:
    """Counts what the relay is told, and what stood in the database at that moment."""

    given = 0

    def __call__(self) -> None:
        self.given += 1


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def app(issuer: LocalIssuer, engine: Engine, hints: Hints, rows: asyncpg.Connection) -> FastAPI:
    return sample_app(issuer.url, engine=engine, hint=hints)


async def test_a_change_is_committed_before_the_answer_starts(
    issuer: LocalIssuer, app: FastAPI, hints: Hints, rows: asyncpg.Connection
) -> None:
    seen: list[int] = []

    async def watched(scope: object, receive: object, send: object) -> None:
        async def watch(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                seen.append(await rows.fetchval("SELECT count(*) FROM rows"))
            await send(message)  # type: ignore[operator]

        await app(scope, receive, watch)  # type: ignore[arg-type]

    async with client_of(watched, issuer.token()) as client:  # type: ignore[arg-type]
        answer = await client.post("/v1/rows/1")
    assert (answer.status_code, answer.json()) == (200, {"number": 1})
    assert seen == [1]
    assert hints.given == 1


async def test_an_error_undoes_the_change_and_the_relay_is_not_told(
    issuer: LocalIssuer, app: FastAPI, hints: Hints, rows: asyncpg.Connection
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/rows/-1")
    assert outcome(answer) == (409, "conflict", None)
    assert await rows.fetchval("SELECT count(*) FROM rows") == 0
    assert hints.given == 0


async def test_a_commit_that_fails_is_never_answered_as_done(
    issuer: LocalIssuer, app: FastAPI, hints: Hints, rows: asyncpg.Connection
) -> None:
    """The constraint is checked at the commit: the route itself ends well."""
    await rows.execute("INSERT INTO rows VALUES (5)")
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/rows/5")
    assert outcome(answer) == UNAVAILABLE
    assert await rows.fetchval("SELECT count(*) FROM rows") == 1
    assert hints.given == 0


async def test_a_connection_that_breaks_at_the_commit_is_a_503(
    issuer: LocalIssuer, app: FastAPI, engine: Engine, hints: Hints, rows: asyncpg.Connection
) -> None:
    def cut(words: str, connection: Any) -> None:
        """The session ends while the commit is on its way."""
        if words == "COMMIT":
            cut_off.append(connection.get_server_pid())
            connection.terminate()

    cut_off: list[int] = []
    async with client_of(app, issuer.token()) as client:
        with watched(engine, cut):
            answer = await client.post("/v1/rows/1")
        assert outcome(answer) == UNAVAILABLE
        assert cut_off
        assert (await rows.fetchval("SELECT count(*) FROM rows"), hints.given) == (0, 0)
        assert (await client.post("/v1/rows/1")).status_code == 200


async def test_a_session_that_the_server_ended_costs_one_answer_at_most(
    issuer: LocalIssuer, app: FastAPI, rows: asyncpg.Connection
) -> None:
    """The pool notices it before it lends the connection, unless the request was faster than the news."""
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/rows/1")).status_code == 200
        ended = await rows.fetch(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
        assert ended
        answers = [await client.post(f"/v1/rows/{number}") for number in (2, 3)]
    assert answers[0].status_code == 200 or outcome(answers[0]) == UNAVAILABLE
    assert answers[1].status_code == 200
    done = 1 + sum(answer.status_code == 200 for answer in answers)
    assert await rows.fetchval("SELECT count(*) FROM rows") == done


async def test_a_session_that_ends_during_a_request_is_a_503_and_the_next_request_has_another(
    issuer: LocalIssuer, app: FastAPI, hints: Hints, rows: asyncpg.Connection
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/cut")
        assert outcome(answer) == UNAVAILABLE
        assert answer.json()["title"] == Unavailable.title
        assert (await client.post("/v1/rows/1")).status_code == 200
    assert (await rows.fetchval("SELECT count(*) FROM rows"), hints.given) == (1, 1)


async def test_a_database_that_is_nowhere_is_a_503(issuer: LocalIssuer) -> None:
    async with client_of(sample_app(issuer.url), issuer.token()) as client:
        assert outcome(await client.post("/v1/rows/1")) == UNAVAILABLE
        assert outcome(await client.get("/v1/rows")) == UNAVAILABLE


async def test_a_server_that_is_stopped_and_started_is_a_503_in_between(issuer: LocalIssuer, tmp_path: Path) -> None:
    server = private_postgres(tmp_path / "postgres")
    await asyncio.to_thread(server.start)
    engine = make_engine(server.url, application="sample", pool_size=2)
    try:
        async with client_of(sample_app(issuer.url, engine=engine), issuer.token()) as client:
            connection = await asyncpg.connect(server.url)
            await connection.execute("CREATE TABLE rows (number int)")
            await connection.close()
            assert (await client.post("/v1/rows/1")).status_code == 200
            await asyncio.to_thread(server.kill)
            assert outcome(await client.post("/v1/rows/2")) == UNAVAILABLE
            assert outcome(await client.post("/v1/rows/2")) == UNAVAILABLE
            await asyncio.to_thread(server.start)
            assert (await client.post("/v1/rows/2")).status_code == 200
            assert (await client.get("/v1/rows")).json() == 2
    finally:
        await engine.dispose()
        await asyncio.to_thread(server.remove)


async def test_requests_over_a_path_that_fell_silent_are_503_in_time_and_then_all_is_well(
    issuer: LocalIssuer, database_url: str, rows: asyncpg.Connection
) -> None:
    """More of them than the pool has connections, so that some wait for a connection that the others hold."""
    async with path_to(database_url) as path:
        engine = make_engine(path.url(database_url), application="silent", pool_size=2, statement_seconds=1)
        try:
            async with client_of(sample_app(issuer.url, engine=engine), issuer.token()) as client:
                await asyncio.gather(*[client.post(f"/v1/rows/{number}") for number in range(2)])
                path.freeze()
                began = time.monotonic()
                answers = await asyncio.gather(*[client.post("/v1/rows/7") for _ in range(6)])
                assert {outcome(answer) for answer in answers} == {UNAVAILABLE}
                # Its own time, or that of waiting for a connection; with room for a busy machine.
                assert time.monotonic() - began < 30
                path.thaw()
                again = await asyncio.gather(*[client.post(f"/v1/rows/{number}") for number in (11, 12, 13)])
                assert [answer.status_code for answer in again] == [200] * 3
        finally:
            path.thaw()
            await engine.dispose()
    assert await rows.fetchval("SELECT count(*) FROM rows WHERE number = 7") == 0


async def test_a_pool_without_a_free_connection_is_a_503(
    issuer: LocalIssuer, app: FastAPI, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.connect(), engine.connect(), client_of(app, issuer.token()) as client:
        monkeypatch.setattr("shared.db.engine.LEND_SECONDS", 0.1)
        assert outcome(await client.post("/v1/rows/1")) == UNAVAILABLE


async def test_a_statement_that_takes_too_long_is_a_503(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        assert outcome(await client.post("/v1/slow")) == UNAVAILABLE


async def test_a_full_disk_is_a_503_that_says_who_can_help(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/full")
    assert outcome(answer) == UNAVAILABLE
    assert "disk is full" in answer.json()["detail"]


async def test_a_wrong_statement_is_an_error_of_this_service(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/wrong")
    assert outcome(answer) == (500, "internal-error", None)
    assert "nowhere" not in answer.text


async def test_a_single_read_costs_one_statement_and_leaves_no_transaction(
    issuer: LocalIssuer, app: FastAPI, postgres_url: str, rows: asyncpg.Connection
) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.get("/v1/rows")).json() == 0
        last = await rows.fetch(f"SELECT query, state FROM pg_stat_activity WHERE {OURS}")
        assert [(row["query"], row["state"]) for row in last] == [("SELECT count(*) FROM rows", "idle")]
        assert (await client.post("/v1/rows/1")).status_code == 200
        last = await rows.fetch(f"SELECT query FROM pg_stat_activity WHERE {OURS}")
        assert [row["query"].upper().rstrip(";") for row in last] == ["COMMIT"]
