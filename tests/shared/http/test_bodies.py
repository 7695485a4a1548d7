"""Bodies that not everybody would read alike, and what a hostile one costs."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from fastapi import FastAPI

from shared.http.limits import DEEPEST
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app

NOTE = '{"title": "a", "anything": %s}'
JSON = {"content-type": "application/json"}


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b"{", "Send one JSON document in UTF-8"),
        (b"{} {}", "Send one JSON document in UTF-8"),
        (b'{"title": "a"}\xff', "UTF-8"),
        (b'{"title": "\xed\xa0\x80"}', "UTF-8"),
        (b"\xef\xbb\xbf" + b'{"title": "a"}', "without a byte order mark"),
        ('{"title": "a"}'.encode("utf-16"), "UTF-8"),
        ('{"title": "a"}'.encode("utf-16-le"), "Send one JSON document in UTF-8"),
        (b'{"title": "a\x00b"}', "Send one JSON document in UTF-8"),
        (b'{"title": "a", "title": "b"}', "each name once"),
        (b'{"title": "a", "anything": {"b": [{"c": 1, "c": 1}]}}', "each name once"),
        (b'{"title": "a", "stars": NaN}', "NaN"),
        (b'{"title": "a", "anything": {"b": -Infinity}}', "NaN"),
        (b'{"title": "a", "stars": ' + b"9" * 100_000 + b"}", "Send one JSON document in UTF-8"),
        ((NOTE % nested(DEEPEST)).encode(), "levels"),
        ((NOTE % nested(10_000)).encode(), "levels"),
        ((NOTE % nested(10_000, '{"a":', "}").replace(":}", ":1}", 1)).encode(), "levels"),
        (b"[" * 200_000, "levels"),
    ],
)
async def test_a_body_that_is_not_one_plain_document_is_refused(
    issuer: LocalIssuer, app: FastAPI, body: bytes, advice: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable-body"), answer.text
    assert advice in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        (NOTE % ('{"b": ' + nested(DEEPEST - 2) + "}")).encode(),
        (NOTE % ('{"b": "' + "[{" * 10_000 + '"}')).encode(),
        (NOTE % json.dumps({"b": [[], {}] * 10_000})).encode(),
    ],
    ids=["deep enough", "only a text", "wide"],
)
async def test_a_document_that_is_not_too_deep_is_taken(issuer: LocalIssuer, app: FastAPI, body: bytes) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", content=body, headers=JSON)).status_code == 201


@pytest.mark.parametrize(("digits", "status"), [(4000, 201), (5000, 400), (200_000, 400), (10**6, 413)])
async def test_the_digits_of_a_number_have_an_end(issuer: LocalIssuer, app: FastAPI, digits: int, status: int) -> None:
    """Reading a number of n digits takes time that grows with its square."""
    body = f'{{"title": "a", "stars": {"1" * digits}}}'.encode()
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", content=body, headers=JSON)).status_code == status


@pytest.mark.parametrize("number", ["1e999999", "-1e999999", "1.5"])
async def test_a_number_beyond_all_measure_is_refused_in_its_field(
    issuer: LocalIssuer, app: FastAPI, number: str
) -> None:
    body = f'{{"title": "a", "stars": {number}}}'.encode()
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/stars"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip", "x"])
async def test_a_compressed_body_is_refused_unread(issuer: LocalIssuer, app: FastAPI, encoding: str) -> None:
    body = gzip.compress(b'{"title": "' + b" " * 10_000_000 + b'a"}')
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers={**JSON, "content-encoding": encoding})
        plain = await client.post("/v1/notes", json={"title": "a"}, headers={"content-encoding": "identity"})
    assert (answer.status_code, answer.json()["code"]) == (415, "body-encoded")
    assert answer.headers["accept-encoding"] == "identity"
    assert plain.status_code == 201


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/json5",
        "json",
        "application/json, text/plain",
        "",
        None,
    ],
)
async def test_a_body_of_another_kind_is_refused_with_the_header_that_is_missing(
    issuer: LocalIssuer, app: FastAPI, kind: str | None
) -> None:
    head = {} if kind is None else {"content-type": kind}
    async with client_of(app, issuer.token()) as client:
        # Also where no body is read: what was meant to be told is not dropped in silence.
        for path in ("/v1/notes", "/v1/slow"):
            answer = await client.post(path, content=b'{"title": "a"}', headers=head)
            assert (answer.status_code, answer.json()["code"]) == (415, "body-not-json")
            assert answer.headers["accept"] == "application/json"
            assert "Content-Type: application/json" in answer.json()["detail"]


async def test_a_body_of_two_kinds_is_refused(issuer: LocalIssuer, app: FastAPI) -> None:
    async with client_of(app, issuer.token()) as client:
        head = [("content-type", "application/json"), ("content-type", "text/plain")]
        assert (await client.post("/v1/notes", content=b'{"title": "a"}', headers=head)).status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/merge-patch+json"]
)
async def test_a_body_of_json_by_any_of_its_names_is_taken(issuer: LocalIssuer, app: FastAPI, kind: str) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=b'{"title": "a"}', headers={"content-type": kind})
    assert answer.status_code == 201


async def test_no_body_needs_no_kind(issuer: LocalIssuer, app: FastAPI) -> None:
    async def nothing() -> Any:
        yield b""

    async with client_of(app, issuer.token()) as client:
        empty = await client.post("/v1/notes")
        chunked = await client.post("/v1/notes", content=nothing())
    assert [each.json()["code"] for each in (empty, chunked)] == ["invalid-request"] * 2


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"a"', b"1", b"{}"])
async def test_a_body_without_what_is_needed_says_so(issuer: LocalIssuer, app: FastAPI, body: bytes) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


async def test_many_unstorable_texts_deep_down_cost_no_memory_and_are_told_in_part(
    issuer: LocalIssuer, app: FastAPI
) -> None:
    deep = DEEPEST - 3
    body = (NOTE % ('{"b": ' + "[" * deep + ",".join([r'"\u0000"'] * 20_000) + "]" * deep + "}")).encode()
    async with client_of(app, issuer.token()) as client:
        tracemalloc.start()
        answer = await client.post("/v1/notes", content=body, headers=JSON)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50
    assert most < 40 * len(body)


async def test_a_description_forbids_what_is_refused(app: FastAPI) -> None:
    described: dict[str, Any] = app.openapi()
    note = described["components"]["schemas"]["Note"]["properties"]
    assert note["title"]["pattern"].startswith(r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*")
    (after,) = [each for each in described["paths"]["/v1/notes"]["get"]["parameters"] if each["name"] == "after"]
    assert after["schema"]["type"] == "string"
    assert "anyOf" not in after["schema"]
