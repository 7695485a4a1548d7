"""Problem details: one shape for every error, what to do, and never what was sent."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from shared.http.auth import needs
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app

JSON = {"content-type": "application/json"}


class Call(BaseModel):
    channel: Literal["phone"]
    minutes: int = Field(ge=1)


class Mail(BaseModel):
    channel: Literal["mail"]
    to: str = Field(pattern=r"^\S+@\S+$")


class Strict(BaseModel, extra="forbid"):
    a: int = 0


contacts = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])


@contacts.post("/contacts")
async def contact(contact: Annotated[Call | Mail, Field(discriminator="channel")]) -> dict[str, str]:
    """One of two forms."""
    return {"channel": contact.channel}


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


@pytest.mark.parametrize(
    ("kind", "status", "title"),
    [
        ("not-found", 404, "Not found"),
        ("invalid", 422, "The request is not valid"),
        ("conflict", 409, "The present state does not allow this"),
        ("forbidden", 403, "Not permitted"),
        ("unavailable", 503, "Temporarily unavailable"),
    ],
)
async def test_each_kind_of_error_has_its_status_and_its_code(
    issuer: LocalIssuer, app: FastAPI, kind: str, status: int, title: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.get(f"/v1/errors/{kind}", headers={"x-correlation-id": "call-1"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"urn:desk:problem:{kind}",
        "title": title,
        "status": status,
        "detail": "Do something else.",
        "code": kind,
        "instance": "urn:desk:request:call-1",
        "correlation_id": "call-1",
        "ticket_id": "00000000-0000-0000-0000-000000000007",
    }
    assert ("retry-after" in answer.headers) is (status == 503)


async def test_what_does_not_exist_says_where_to_look(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        missing = await client.get("/v1/nothing")
        wrong = await client.delete("/v1/notes")
        slash = await client.get("/v1/notes/")
    assert (missing.status_code, missing.json()["code"]) == (404, "no-such-route")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET, HEAD, POST"
    assert slash.status_code in {404, 422}
    assert {each.headers["content-type"] for each in (missing, wrong, slash)} == {"application/problem+json"}


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe", b'{"title": "a\x00"}', b"[" * 100_000, b'{"stars": ' + b"9" * 100_000 + b"}", b"nonsense"],
)
async def test_a_body_that_cannot_be_read_is_a_problem_of_the_caller(
    issuer: LocalIssuer, app: FastAPI, body: bytes
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers=JSON)
    # An empty body can be read; it only lacks everything.
    expected = (400, "unreadable-body") if body else (422, "invalid-request")
    assert (answer.status_code, answer.json()["code"]) == expected
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_invalid_request_says_where_and_what_to_do(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", json={"stars": "many", "anything": []})
        listed = await client.get("/v1/notes?limit=201")
        path = await client.get("/v1/notes/not-a-uuid")
    assert answer.json()["code"] == "invalid-request"
    assert answer.json()["errors"] == [
        {"in": "body", "pointer": "#/title", "code": "missing", "message": "Add this; it is required."},
        {"in": "body", "pointer": "#/stars", "code": "int-parsing", "message": "Send a whole number."},
        {"in": "body", "pointer": "#/anything", "code": "dict-type", "message": "Send an object."},
    ]
    assert listed.json()["errors"] == [
        {"in": "query", "parameter": "limit", "code": "less-than-equal", "message": "Send a value of at most 200."}
    ]
    assert path.json()["errors"] == [
        {"in": "path", "parameter": "note_id", "code": "uuid-parsing", "message": "Send a UUID."}
    ]


async def test_a_body_that_is_not_declared_as_json_says_so(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=b'{"title": "a"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "CANARY"},
        {"channel": "phone", "minutes": "CANARY"},
        {"channel": "mail", "to": "CANARY"},
        {"channel": "mail", "to": ["CANARY"]},
        ["CANARY"],
        "CANARY",
    ],
)
async def test_what_was_sent_is_never_repeated(issuer: LocalIssuer, body: Any) -> None:
    app = sample_app(issuer.url, routers=[contacts])
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/contacts", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert "CANARY" not in answer.text
    assert answer.json()["errors"][0]["message"]


async def test_a_wrong_choice_is_told_the_right_ones(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, routers=[contacts])
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/contacts", json={"channel": "smoke"})
    assert answer.json()["errors"][0]["message"] == "Send one of 'phone', 'mail' as 'channel'."


async def test_many_errors_are_cut(issuer: LocalIssuer) -> None:
    many = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @many.post("/many")
    async def take(numbers: list[int]) -> int:
        return len(numbers)

    app = sample_app(issuer.url, routers=[many])
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/many", json=["x"] * 1000)
    assert len(answer.json()["errors"]) == 50
    assert answer.json()["detail"].startswith("1000 fields")


async def test_a_name_of_the_caller_cannot_break_the_answer(issuer: LocalIssuer) -> None:
    strict = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @strict.post("/strict")
    async def take(body: Strict) -> int:
        return body.a

    app = sample_app(issuer.url, routers=[strict])
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/strict", json={"x/~" + "y" * 500: 1})
    pointer = answer.json()["errors"][0]["pointer"]
    assert pointer.startswith("#/x~1~0yyy")
    assert len(pointer) < 80


async def test_every_operation_documents_its_problems_and_the_token(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, None) as client:
        document = (await client.get("/openapi.json")).json()
    assert document["info"]["title"] == "PSA Desk: sample"
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert {"Problem", "ProblemOfInput"} <= document["components"]["schemas"].keys()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) >= 10
    for operation in operations:
        for status in ("400", "401", "403", "404", "409", "413", "422", "500", "503"):
            assert operation["responses"][status]["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
