"""The edge around every route: identity before anything else, limits, correlation, the access line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from shared.http.app import OPEN_PATHS, doors_of
from shared.http.auth import needs
from shared.telemetry import trace
from shared.telemetry.metrics import exposition
from tests.rules.source import SERVICES
from tests.shared.http.conftest import client_of, served
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.shared.http.test_permissions import app_of
from tests.shared.output import Output

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


# Whoever opens another one writes it here too, and says what a stranger may learn from it.
STRANGERS_MAY_ASK = ["/asyncapi.json", "/livez", "/metrics", "/openapi.json", "/readyz"]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_answers_strangers_at_these_addresses_only(issuer: LocalIssuer, service: str) -> None:
    app = app_of(service, issuer)
    assert sorted(OPEN_PATHS) == STRANGERS_MAY_ASK
    assert sorted({door.path for door in doors_of(app) if door.is_open}) == STRANGERS_MAY_ASK
    async with client_of(app, None) as stranger:
        known = {door.path: await stranger.request(door.method, door.path) for door in doors_of(app)}
    assert sorted(path for path, answer in known.items() if answer.status_code != 401) == STRANGERS_MAY_ASK


async def test_no_door_is_open_but_those_that_are_named(issuer: LocalIssuer, app: FastAPI) -> None:
    doors = doors_of(app)
    closed = [door for door in doors if not door.is_open]
    assert ("POST", "/v1/notes") in {(door.method, door.path) for door in closed}
    assert len(closed) >= 10
    async with client_of(app, None) as client:
        for door in closed:
            answer = await client.request(door.method, door.path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, door


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/nothing", "/v1", "/livez/", "//livez", "/openapi.json/x"])
async def test_an_address_that_does_not_exist_is_closed_too(app: FastAPI, path: str) -> None:
    async with client_of(app, None) as client:
        assert (await client.get(path)).status_code == 401


async def test_a_mounted_application_and_a_plain_route_are_closed_too(issuer: LocalIssuer) -> None:
    async def tell(_request: object) -> PlainTextResponse:
        return PlainTextResponse("told")

    app = sample_app(issuer.url)
    app.router.routes.append(Route("/plain", tell))
    app.router.routes.append(Mount("/below", Starlette(routes=[Route("/livez", tell)])))
    async with client_of(app, None) as stranger, client_of(app, issuer.token()) as caller:
        for path in ("/plain", "/below/livez"):
            assert (await stranger.get(path)).status_code == 401
            assert (await caller.get(path)).text == "told"


async def test_the_open_addresses_answer_without_a_token(app: FastAPI) -> None:
    async with client_of(app, None) as client:
        for path in OPEN_PATHS:
            assert (await client.get(path)).status_code == 200, path


async def test_a_route_without_the_edge_still_refuses_who_was_not_identified(app: FastAPI) -> None:
    bare = sample_app("http://127.0.0.1:1")
    bare.user_middleware.clear()
    async with client_of(bare, None) as client:
        answer = await client.post("/v1/notes", json={"title": "x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_the_challenge_says_more_only_when_a_token_was_presented(app: FastAPI) -> None:
    async with client_of(app, None) as client:
        assert (await client.get("/v1/me")).headers["www-authenticate"] == 'Bearer realm="psa-desk"'
        answer = await client.get("/v1/me", headers={"authorization": "Bearer a.b.c"})
    assert answer.headers["www-authenticate"].startswith('Bearer realm="psa-desk", error="invalid_token", error_desc')


async def test_two_authorization_headers_are_refused(issuer: LocalIssuer, app: FastAPI) -> None:
    good = ("authorization", f"Bearer {issuer.token()}")
    async with client_of(app, None) as client:
        assert (await client.get("/v1/me", headers=[good])).json()["id"] == "ana"
        assert (await client.get("/v1/me", headers=[good, good])).status_code == 401


async def test_the_caller_and_the_cause_come_from_the_head(issuer: LocalIssuer, app: FastAPI) -> None:
    head = {"x-correlation-id": "call-17", "traceparent": TRACEPARENT}
    async with client_of(app, issuer.token()) as client:
        me = await client.get("/v1/me")
        answer = await client.get("/v1/cause", headers=head)
    assert me.json() == {"id": "ana", "name": "Ana Gómez", "roles": ["agent"]}
    cause = answer.json()
    assert answer.headers["x-correlation-id"] == "call-17"
    assert (cause["actor"], cause["correlation_id"], cause["traceparent"]) == ("ana", "call-17", TRACEPARENT)
    assert cause["at"][0] == cause["at"][1]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ñandú", "a\tb"])
async def test_a_correlation_id_that_is_not_sane_is_replaced(issuer: LocalIssuer, app: FastAPI, given: str) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.get("/v1/cause", headers={b"x-correlation-id": given.encode()})
    used = answer.headers["x-correlation-id"]
    assert used == answer.json()["correlation_id"] != given
    assert len(used) == 36


@pytest.mark.parametrize("given", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
async def test_a_trace_that_is_not_valid_is_replaced_by_a_new_one(
    issuer: LocalIssuer, app: FastAPI, given: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        cause = (await client.get("/v1/cause", headers={"traceparent": given})).json()
    assert trace.parse(cause["traceparent"]) is not None
    assert cause["traceparent"] != given


async def test_an_etag_is_the_version_in_quotes(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.get("/v1/notes/018f0000-0000-7000-8000-000000000000")
    assert answer.headers["etag"] == '"7"'


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, body_limit=1000)
    note = json.dumps({"title": "x", "text": "a" * 900})
    async with client_of(app, issuer.token()) as client:
        head = {"content-type": "application/json"}
        good = await client.post("/v1/notes", content=note + " " * (1000 - len(note)), headers=head)
        large = await client.post("/v1/notes", content=note + " " * (1001 - len(note)), headers=head)
    assert good.status_code == 201
    assert (large.status_code, large.json()["code"], large.json()["limit_bytes"]) == (413, "body-too-large", 1000)
    assert large.headers["connection"] == "close"


async def test_a_chunked_body_is_cut_as_soon_as_it_passes_the_limit(issuer: LocalIssuer) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 500:
            sent += 1
            yield b"x" * 1000

    app = sample_app(issuer.url, body_limit=5000)
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert sent <= 7


async def test_a_body_that_is_declared_too_large_is_not_read(issuer: LocalIssuer) -> None:
    async def unread() -> Any:
        raise AssertionError("the body was read")
        yield b""

    async with client_of(sample_app(issuer.url, body_limit=1000), issuer.token()) as client:
        answer = await client.post("/v1/notes", content=unread(), headers={"content-length": "1001"})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


async def test_a_body_that_lies_about_its_length_is_measured(issuer: LocalIssuer) -> None:
    """A server may pass on more than was declared; the limit counts what arrives."""
    app = sample_app(issuer.url, body_limit=1000)
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=b"x" * 2000, headers={"content-length": "10"})
    assert answer.status_code == 413


async def test_a_stranger_is_refused_before_the_body_is_read(app: FastAPI) -> None:
    async def endless() -> Any:
        raise AssertionError("the body was read")
        yield b""

    async with client_of(app, None) as client:
        answer = await client.post("/v1/notes", content=endless())
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


async def test_a_body_that_does_not_arrive_is_cut(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, body_seconds=0.2)
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\ncontent-length: 50\r\n"
        writer.write(head.encode() + b"\r\n{")
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body-too-slow" in answer


async def test_the_connection_of_a_refused_body_is_closed_by_the_server(issuer: LocalIssuer) -> None:
    async with served(sample_app(issuer.url, body_limit=1000)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\n"
        writer.write(head.encode() + b"content-length: 1000000000\r\n\r\n" + b"x" * 5000)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (rb'{"title": "a\u0000b"}', "#/title"),
        (rb'{"title": "a", "anything": {"b": ["c", {"d": "\ud800"}]}}', "#/anything/b/1/d"),
        (rb'{"title": "a", "anything": {"b": {"\u0000": 1}}}', "#/anything/b"),
        (rb'{"title": "a", "anything": {"b": "\udfff\ud83d"}}', "#/anything/b"),
    ],
)
async def test_text_that_postgresql_cannot_store_is_refused_wherever_it_stands(
    issuer: LocalIssuer, app: FastAPI, body: bytes, pointer: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("text", [r"C:\\u0000 is how one writes it", r"\ud83d\ude00", r"\\\\ud800"])
async def test_text_that_only_looks_like_it_is_taken(issuer: LocalIssuer, app: FastAPI, text: str) -> None:
    body = f'{{"title": "a", "text": "{text}"}}'
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    assert answer.json()["text"] == json.loads(body)["text"]


async def test_nul_in_the_address_is_refused(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        for path in ("/v1/errors/a%00b", "/v1/notes?after=%00"):
            assert (await client.get(path)).json()["code"] == "invalid"


async def test_every_request_leaves_one_line_without_its_query(
    issuer: LocalIssuer, app: FastAPI, output: Output
) -> None:
    async with client_of(app, issuer.token()) as client:
        await client.get("/v1/notes?limit=7&after=1145678901", headers={"x-correlation-id": "call-18"})
        await client.get("/v1/errors/conflict")
        await client.get("/livez")
    lines = [line for line in output.lines if line["event"] == "request"]
    assert len(lines) == 2
    first, second = lines
    assert {name: first[name] for name in ("method", "route", "status", "actor", "correlation_id")} == {
        "method": "GET",
        "route": "/v1/notes",
        "status": 422,
        "actor": "ana",
        "correlation_id": "call-18",
    }
    assert first["milliseconds"] > 0
    assert (second["route"], second["status"], second["problem"]) == ("/v1/errors/{kind}", 409, "conflict")
    assert "1145678901" not in output.text


async def test_an_unexpected_error_is_logged_with_its_traceback_and_not_told(
    issuer: LocalIssuer, app: FastAPI, output: Output
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.get("/v1/errors/anything", headers={"x-correlation-id": "call-19"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "4711" not in answer.text
    told = next(line for line in output.lines if line["event"] == "unexpected error")
    assert told["correlation_id"] == "call-19"
    assert "RuntimeError: secret of the house" in told["traceback"]
    assert "in fail" in told["traceback"]


async def test_requests_are_measured_by_template(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        await client.get("/v1/notes/018f0000-0000-7000-8000-0000000000aa")
        await client.request("BREW", "/v1/notes")
    told = exposition().decode()
    assert 'desk_http_request_seconds_count{method="GET",route="/v1/notes/{note_id}",status="200"}' in told
    assert 'method="OTHER"' in told
    assert "0000000000aa" not in told
    assert "desk_http_requests_in_progress 0.0" in told


async def test_websockets_are_refused(app: FastAPI) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await app({"type": "websocket", "path": "/v1/notes", "headers": [], "query_string": b""}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_an_answer_that_breaks_off_breaks_the_connection(issuer: LocalIssuer) -> None:
    from fastapi.responses import StreamingResponse

    routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            yield b"first"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    async with served(sample_app(issuer.url, routers=[routes])) as port, httpx2.AsyncClient() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(
                f"http://127.0.0.1:{port}/v1/stream", headers={"authorization": f"Bearer {issuer.token()}"}
            )
