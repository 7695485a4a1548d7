"""The edge around every route: identity before anything else, limits, correlation, the access line."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from shared.http.app import OPEN_PATHS, doors_of
from shared.http.auth import needs
from shared.http.permissions import ROLES
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


async def test_no_door_is_open_but_those_that_are_named(issuer: LocalIssuer, app: FastAPI) -> None:
    doors = doors_of(app)
    assert {door.path for door in doors if door.is_open} == set(OPEN_PATHS)
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


@pytest.mark.parametrize(
    ("title", "read"), [("  a ", "a"), ("a\tb", "a\tb"), ("ñandú", "ñandú"), ("a" * 20 + " ", "a" * 20)]
)
async def test_clean_text_is_stripped(issuer: LocalIssuer, app: FastAPI, title: str, read: str) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", json={"title": title})).json()["title"] == read


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ({"title": "   "}, "string-too-short"),
        ({"title": "a" * 21}, "string-too-long"),
        ({"title": "a\x1bb"}, "control-characters"),
        ({"title": "a\x84b"}, "control-characters"),
        *[({"title": f"a{end}b"}, "one-line") for end in ("\n", "\r", "\r\n", "\x85", "\u2028", "\u2029")],
        ({"title": "a", "text": "a\x07b"}, "control-characters"),
    ],
)
async def test_text_that_is_not_clean_is_refused(
    issuer: LocalIssuer, app: FastAPI, note: dict[str, str], code: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", json=note)
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == [code]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x85", "\u2028", "\u2029"])
async def test_line_breaks_of_every_kind_become_plain_ones(issuer: LocalIssuer, app: FastAPI, end: str) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", json={"title": "a", "text": f"one{end}two\n{end}\tthree{end}"})
    assert answer.json()["text"] == "one\ntwo\n\n\tthree"


BLANK = {
    "zero-width spaces": "\u200b\u200c\u200d\u2060\ufeff",
    "a soft hyphen": "\u00ad",
    "directions": "\u200e\u202e\u2066",
    "accents over nothing": "\u0301\u0302\u20dd",
    "a variation of nothing": "\ufe0f\U000e0100",
    "tags": "\U000e0041\U000e007f",
    "fillers of Hangul": "\u115f\u1160\u3164\uffa0",
    "empty Braille": "\u2800",
    "a note without a head": "\U0001d159",
    "vowels of Khmer that are not shown": "\u17b4\u17b5",
    "a grapheme joiner": "\u034f",
    "what nobody may assign": "\ufffe\ufdd0\U0010ffff",
    "what is private": "\ue000",
    "spaces of all sizes among them": "\u200b \u2003\u3000\u00a0\u200b",
}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
async def test_text_of_which_nothing_can_be_seen_is_no_text(issuer: LocalIssuer, app: FastAPI, text: str) -> None:
    async with client_of(app, issuer.token()) as client:
        for name in ("title", "text"):
            answer = await client.post("/v1/notes", json={"title": "a", name: text})
            assert answer.status_code == 422, text.encode("unicode_escape")
            (error,) = answer.json()["errors"]
            assert (error["pointer"], error["code"]) == (f"#/{name}", "blank-text")
            assert "can be seen" in error["message"]
            # Beside something that is there they are nobody's mistake.
            assert (await client.post("/v1/notes", json={"title": "a", name: f"ñ{text}"})).status_code == 201
        empty = await client.post("/v1/notes", json={"title": "a", "remark": text})
        assert (empty.status_code, empty.json()["remark"]) == (201, "")


@pytest.mark.parametrize("text", ["a", "7", "¿?", "😀", "नि", "ﷺ", "한", "€", "\u20dda", "👩\u200d💻"])
async def test_text_of_which_anything_can_be_seen_is_taken_as_it_is(
    issuer: LocalIssuer, app: FastAPI, text: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", json={"title": text})).json()["title"] == text


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


ID = "018f0000-0000-7000-8000-0000000000aa"


def told_of(answer: httpx2.Response) -> tuple[int, dict[str, str]]:
    """Status and headers; the metrics of a process grow from one answer to the next."""
    left_out = "content-length" if answer.headers["content-type"].startswith("text/plain; version") else ""
    return answer.status_code, {name: value for name, value in answer.headers.items() if name != left_out}


async def require_head_like_get(app: FastAPI, issuer: LocalIssuer, service: str = "") -> set[int]:
    """Knocks at every door that GET opens, with a token and without; returns the statuses."""
    seen = set()
    roles = list(ROLES)
    for token in (issuer.token(roles=roles), None):
        async with client_of(app, token) as client:
            for door in doors_of(app):
                path = re.sub(r"\{\w+\}", ID, door.path)
                same = {"x-correlation-id": "call-20"}
                head = await client.head(path, headers=same)
                assert head.content == b"", f"{service} {path}"
                if "GET" in {other.method for other in doors_of(app) if other.path == door.path}:
                    assert told_of(head) == told_of(await client.get(path, headers=same)), f"{service} {path}"
                elif token is not None:
                    assert head.status_code == 405, f"{service} {path}"
                    assert "HEAD" not in head.headers["allow"]
                seen.add(head.status_code)
    return seen


async def test_head_is_answered_wherever_get_is_with_the_same_headers(issuer: LocalIssuer, app: FastAPI) -> None:
    # /v1/errors/<id> is an error of ours, and rows has no database.
    assert await require_head_like_get(app, issuer) == {200, 401, 405, 500, 503}
    async with client_of(app, issuer.token()) as client:
        answer = await client.head(f"/v1/notes/{ID}")
    assert (answer.status_code, answer.headers["etag"], answer.headers["content-length"]) == (200, '"7"', "45")


@pytest.mark.parametrize("service", SERVICES)
async def test_head_is_answered_wherever_get_is_in_every_service(issuer: LocalIssuer, service: str) -> None:
    assert {200, 401, 503} <= await require_head_like_get(app_of(service, issuer), issuer, service)


async def test_head_over_a_real_connection_has_the_length_and_not_the_body(issuer: LocalIssuer, app: FastAPI) -> None:
    async with served(app) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        good = {"authorization": f"Bearer {issuer.token()}"}
        for path in ("/v1/me", "/v1/nothing", "/livez", "/openapi.json"):
            head, get = await client.head(path, headers=good), await client.get(path, headers=good)
            assert (head.status_code, head.content) == (get.status_code, b"")
            assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


async def test_a_head_request_is_logged_and_measured_as_what_it_is(
    issuer: LocalIssuer, app: FastAPI, output: Output
) -> None:
    async with client_of(app, issuer.token()) as client:
        await client.head(f"/v1/notes/{ID}")
    (line,) = [line for line in output.lines if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("HEAD", "/v1/notes/{note_id}", 200)
    assert 'count{method="HEAD",route="/v1/notes/{note_id}",status="200"}' in exposition().decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/notes", "GET, HEAD, POST"),
        ("PUT", f"/v1/notes/{ID}", "GET, HEAD"),
        ("GET", "/v1/slow", "POST"),
        ("HEAD", "/v1/slow", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/openapi.json", "GET, HEAD"),
        ("OPTIONS", "/asyncapi.json", "GET, HEAD"),
    ],
)
async def test_a_405_names_every_method_that_the_address_knows(
    issuer: LocalIssuer, app: FastAPI, method: str, path: str, allowed: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_parameter_that_the_address_does_not_know_is_refused_and_the_known_are_named(
    issuer: LocalIssuer, app: FastAPI
) -> None:
    async with client_of(app, issuer.token()) as client:
        some = await client.get("/v1/notes?limit=7&Limit=7&q=CANARY&q=2")
        none = await client.get("/v1/me?verbose")
        odd = await client.get("/v1/me?=x")
        writing = await client.post("/v1/notes?dry_run=true", json={"title": "a"})
        good = await client.get("/v1/notes?limit=7&&")
    assert [each.status_code for each in (some, none, odd, writing, good)] == [422, 422, 422, 422, 200]
    assert some.json()["code"] == "invalid-request"
    assert some.json()["errors"] == [
        {
            "in": "query",
            "parameter": name,
            "code": "extra-forbidden",
            "message": "Leave this out; what this address knows is: after, limit.",
        }
        for name in ("Limit", "q")
    ]
    assert "CANARY" not in some.text
    assert none.json()["errors"][0]["message"] == "Leave this out; this address knows no parameters."
    assert odd.json()["errors"][0]["parameter"] == ""


@pytest.mark.parametrize("service", SERVICES)
async def test_no_address_of_a_service_takes_a_parameter_that_it_does_not_know(
    issuer: LocalIssuer, service: str
) -> None:
    app = app_of(service, issuer)
    described = app.openapi()["paths"]
    async with client_of(app, issuer.token(roles=list(ROLES))) as client:
        for door in doors_of(app):
            if door.is_open:
                continue
            path = re.sub(r"\{\w+\}", ID, door.path)
            answer = await client.request(door.method, f"{path}?nobody_knows=1")
            assert answer.status_code == 422, f"{door.method} {path}: {answer.text}"
            (error,) = answer.json()["errors"]
            assert (error["in"], error["parameter"]) == ("query", "nobody_knows")
            parameters = described[door.path][door.method.lower()].get("parameters", ())
            for name in (each["name"] for each in parameters if each["in"] == "query"):
                assert name in error["message"]


async def test_whoever_may_not_is_told_that_before_anything_about_parameters(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token(roles=[])) as client:
        assert (await client.get("/v1/me?verbose=1")).status_code == 403


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
