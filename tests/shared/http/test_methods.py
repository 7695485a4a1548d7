"""What every address does, whatever it is for: HEAD beside GET, a 405 that is right, only parameters that it knows."""

from __future__ import annotations

import re

import httpx2
import pytest
from fastapi import FastAPI

from shared.http.app import doors_of
from shared.http.permissions import ROLES
from shared.telemetry.metrics import exposition
from tests.rules.source import SERVICES
from tests.shared.http.conftest import client_of, served
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.shared.http.test_permissions import app_of
from tests.shared.output import Output


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


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
