"""A request that is sent again under its key gets the first answer, on a real PostgreSQL, and has no second effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, SecretStr

from shared import clock
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.errors import Conflict
from shared.http.auth import needs
from shared.http.idempotency import Idempotency
from shared.http.transaction import Tx
from shared.jobs import Pieces
from shared.parts import Parts
from shared.settings import ServiceSettings
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.proxy import path_to
from tests.support.statements import round_trips, watched

KEY = "idempotency-key"


class Thing(BaseModel):
    """What is made."""

    name: str
    number: int = 0


def routes_of(going_on: asyncio.Event) -> APIRouter:
    """One route that makes a thing when the test lets it go on, and one that acts on it."""
    routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:open")])

    @routes.post("/things", status_code=201, response_model=Thing)
    async def make_thing(tx: Tx, idempotency: Idempotency, body: Thing, loud: bool = False) -> Any:
        row = await tx.fetch_one(sql("INSERT INTO things (name) VALUES (:name) RETURNING number"), body.model_dump())
        made = Thing(name=body.name, number=row.number)
        await going_on.wait()
        if body.name == "refused":
            raise Conflict("Not now.")
        return await idempotency.answer(made, version=7, status=201, location=f"/v1/things/{made.number}")

    @routes.post("/things/{number}/paint", response_model=Thing)
    async def paint_thing(tx: Tx, idempotency: Idempotency, number: int) -> Any:
        await tx.execute(sql("INSERT INTO things (name) VALUES ('paint')"))
        return await idempotency.answer(Thing(name="painted", number=number), version=number)

    return routes


@pytest.fixture
def going_on() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@pytest.fixture
async def db(database: Callable[[str], Awaitable[Database]]) -> Database:
    made = await database("runtime")
    async with made.connect(OWNER) as connection:
        await connection.execute("CREATE TABLE things (number int GENERATED ALWAYS AS IDENTITY, name text)")
        await connection.execute("GRANT ALL ON things TO PUBLIC")
    return made


@pytest.fixture
def app(issuer: LocalIssuer, db: Database, going_on: asyncio.Event) -> FastAPI:
    return sample_app(issuer.url, engine=db.engine, routers=[routes_of(going_on)])


@pytest.fixture
def client(issuer: LocalIssuer, app: FastAPI) -> httpx2.AsyncClient:
    return client_of(app, issuer.token())


async def things(db: Database) -> int:
    return await db.count("SELECT count(*) FROM things")


async def kept(db: Database) -> int:
    return await db.count("SELECT count(*) FROM runtime.idempotency")


def told(answer: httpx2.Response) -> tuple[int, bytes, list[str | None]]:
    """Everything of an answer that a repetition must have too."""
    return (
        answer.status_code,
        answer.content,
        [answer.headers.get(name) for name in ("etag", "location", "content-type")],
    )


async def test_the_same_request_gets_the_same_answer_and_has_one_effect(
    client: httpx2.AsyncClient, db: Database
) -> None:
    first, *others = [await client.post("/v1/things", json={"name": "a"}, headers={KEY: "k"}) for _ in range(3)]
    assert told(first) == (201, b'{"name":"a","number":1}', ['"7"', "/v1/things/1", "application/json"])
    assert [told(other) for other in others] == [told(first)] * 2
    assert (await things(db), await kept(db)) == (1, 1)


async def test_without_a_key_every_request_is_another_one(client: httpx2.AsyncClient, db: Database) -> None:
    answers = [await client.post("/v1/things", json={"name": "a"}) for _ in range(2)]
    assert [answer.json()["number"] for answer in answers] == [1, 2]
    assert (await things(db), await kept(db)) == (2, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/things", b'{"name": "b"}'), ("/v1/things", b'{"name":"a"} '), ("/v1/things?loud=1", b'{"name":"a"}')],
)
async def test_another_request_under_the_key_is_refused(
    client: httpx2.AsyncClient, db: Database, path: str, body: bytes
) -> None:
    head = {KEY: "k", "content-type": "application/json"}
    await client.post("/v1/things", content=b'{"name":"a"}', headers=head)
    answer = await client.post(path, content=body, headers=head)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-used")
    assert await things(db) == 1


async def test_a_key_belongs_to_its_caller_and_to_its_route(
    client: httpx2.AsyncClient, app: FastAPI, issuer: LocalIssuer, db: Database
) -> None:
    head = {KEY: "k"}
    await client.post("/v1/things", json={"name": "a"}, headers=head)
    async with client_of(app, issuer.token(sub="luis")) as luis:
        assert (await luis.post("/v1/things", json={"name": "a"}, headers=head)).json()["number"] == 2
    assert (await client.post("/v1/things/5/paint", headers=head)).headers["etag"] == '"5"'
    # The same action on another thing is another request.
    assert (await client.post("/v1/things/6/paint", headers=head)).json()["code"] == "idempotency-key-used"
    assert (await client.post("/v1/things/5/paint", headers=head)).json() == {"name": "painted", "number": 5}
    assert await things(db) == 3


async def test_a_refusal_is_not_kept_so_the_key_can_be_used_again(client: httpx2.AsyncClient, db: Database) -> None:
    for _ in range(2):
        assert (await client.post("/v1/things", json={"name": "refused"}, headers={KEY: "k"})).status_code == 409
    assert (await things(db), await kept(db)) == (0, 0)
    assert (await client.post("/v1/things", json={"name": "a"}, headers={KEY: "k"})).status_code == 201


# Other tests run on the same server.
OURS = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"


async def test_while_it_is_being_done_a_repetition_is_told_to_come_back(
    client: httpx2.AsyncClient, db: Database, going_on: asyncio.Event
) -> None:
    going_on.clear()
    head = {KEY: "k"}
    first = asyncio.create_task(client.post("/v1/things", json={"name": "a"}, headers=head))

    async def is_locked() -> bool:
        return await db.count(f"SELECT count(*) FROM pg_locks WHERE {OURS} AND locktype = 'advisory' AND granted") == 1

    await eventually(is_locked)
    second = await client.post("/v1/things", json={"name": "a"}, headers=head)
    assert (second.status_code, second.json()["code"], second.headers["retry-after"]) == (
        409, "request-in-progress", "1",
    )  # fmt: skip
    other = asyncio.create_task(client.post("/v1/things", json={"name": "a"}, headers={KEY: "other"}))
    going_on.set()
    assert told(await first) == told(await client.post("/v1/things", json={"name": "a"}, headers=head))
    assert (await other).json()["number"] == 2
    assert await things(db) == 2


async def test_many_at_once_have_one_effect_and_one_answer(client: httpx2.AsyncClient, db: Database) -> None:
    async def ask() -> httpx2.Response:
        while True:
            answer = await client.post("/v1/things", json={"name": "a"}, headers={KEY: "k"})
            if answer.status_code != 409:
                return answer

    answers = await asyncio.gather(*[ask() for _ in range(20)])
    assert {answer.content for answer in answers} == {b'{"name":"a","number":1}'}
    assert (await things(db), await kept(db)) == (1, 1)


@pytest.mark.parametrize("key", ["x", "~ ! with spaces", "a" * 255])
async def test_a_key_is_any_printable_text(client: httpx2.AsyncClient, key: str) -> None:
    answers = [await client.post("/v1/things", json={"name": "a"}, headers={KEY: key}) for _ in range(2)]
    assert [answer.json()["number"] for answer in answers] == [1, 1]


@pytest.mark.parametrize("key", [b"", b"a" * 256, "ñandú".encode(), b"a\tb", b"\xff"])
async def test_a_key_that_is_none_is_refused(client: httpx2.AsyncClient, db: Database, key: bytes) -> None:
    head = [(b"idempotency-key", key), (b"content-type", b"application/json")]
    answer = await client.post("/v1/things", content=b'{"name":"a"}', headers=head)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-request")
    assert [(one["in"], one["parameter"]) for one in problem["errors"]] == [("header", "Idempotency-Key")]
    assert await things(db) == 0


async def test_two_keys_are_none(client: httpx2.AsyncClient, db: Database) -> None:
    answer = await client.post("/v1/things", json={"name": "a"}, headers=[(KEY, "a"), (KEY, "b")])
    assert answer.status_code == 422
    assert await things(db) == 0


async def test_what_a_key_costs_and_that_a_repetition_costs_one_statement(
    client: httpx2.AsyncClient, db: Database
) -> None:
    async def sent(**headers: str) -> list[str]:
        with round_trips(db.engine) as said:
            await client.post("/v1/things", json={"name": "a"}, headers=headers)
        return [one.split("(")[0].strip() for one in said]

    insert, recall = "INSERT INTO things", "SELECT * FROM runtime.recall_answer"
    keep = "INSERT INTO runtime.idempotency"
    assert await sent() == ["BEGIN", insert, "COMMIT"]
    assert await sent(**{KEY: "k"}) == ["BEGIN", recall, insert, keep, "COMMIT"]
    assert await sent(**{KEY: "k"}) == ["BEGIN", recall, "ROLLBACK"]


async def test_an_answer_is_kept_for_a_day(client: httpx2.AsyncClient, db: Database) -> None:
    """By the job that every service runs, with what it is given there."""
    settings = ServiceSettings(database_url=SecretStr(db.url))
    jobs = Parts(name="tickets", title="", settings=settings, module=lambda _role: None)._runtime_jobs()
    (prune,) = (job for job in jobs if job.name == "prune-answers")
    head = {KEY: "k"}
    await client.post("/v1/things", json={"name": "a"}, headers=head)
    day = timedelta(hours=24)
    for later, number in ((day - timedelta(minutes=1), 1), (day + timedelta(minutes=1), 2)):
        assert not isinstance(prune.work, Pieces)
        async with db.begin() as tx:
            await prune.work(tx, clock.now() + later)
        assert (await client.post("/v1/things", json={"name": "a"}, headers=head)).json()["number"] == number


async def test_the_description_knows_the_key_and_what_it_answers(app: FastAPI) -> None:
    operation = app.openapi()["paths"]["/v1/things"]["post"]
    (key,) = [one for one in operation["parameters"] if one["in"] == "header"]
    assert (key["name"], key["required"]) == ("Idempotency-Key", False)
    assert "Retry-After" in operation["responses"]["409"]["headers"]
    assert set(operation["responses"]["201"]["headers"]) == {"ETag", "Location"}
    assert "412" not in operation["responses"]


async def test_a_commit_whose_answer_was_lost_is_said_to_be_unknown_and_its_repetition_is_safe(
    issuer: LocalIssuer, db: Database, going_on: asyncio.Event
) -> None:
    async with path_to(db.url) as path:
        engine = make_engine(path.url(db.url), application="silent", pool_size=2, statement_seconds=1)

        def hold(words: str, _connection: Any) -> None:
            if words == "COMMIT":
                path.hold_answers()

        try:
            app = sample_app(issuer.url, engine=engine, routers=[routes_of(going_on)])
            async with client_of(app, issuer.token()) as client:
                with watched(engine, hold):
                    lost = await client.post("/v1/things", json={"name": "a"}, headers={KEY: "k"})
                assert (lost.status_code, lost.json()["code"]) == (503, "outcome-unknown")
                assert lost.headers["retry-after"] == "2"
                path.thaw()
                again = await client.post("/v1/things", json={"name": "a"}, headers={KEY: "k"})
        finally:
            path.thaw()
            await engine.dispose()
    assert told(again) == (201, b'{"name":"a","number":1}', ['"7"', "/v1/things/1", "application/json"])
    assert (await things(db), await kept(db)) == (1, 1)
