"""Callers that are slow, endless or speak another language than HTTP: each is cut, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest
from fastapi import APIRouter, Response

from shared.http.auth import needs
from shared.http.connections import ConnectionLimits
from tests.shared.http.conftest import served
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.support.eventually import eventually

LIMITS = ConnectionLimits(head_seconds=0.4, head_bytes=4096, idle_seconds=1, read_seconds=0.6)
LARGE = 16 * 1024 * 1024
TCP_CLOSE = 7  # the state of a connection that was reset, in the first byte of TCP_INFO
DEADLINE = 20

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes; a reset is a close too."""
    told = bytearray()
    with suppress(ConnectionResetError):
        async with asyncio.timeout(DEADLINE):
            while piece := await reader.read(65536):
                told += piece
    return bytes(told)


async def drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Sends the piece again and again, until the other side does not take any more."""
    with suppress(OSError):
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)  # the rhythm of a caller who wants to be slow


async def talk(port: int, sent: bytes, dripping: bytes = b"") -> bytes:
    """Sends, drips on when something is given for that, and returns all that was answered until the close."""
    async with connected(port) as (reader, writer):
        writer.write(sent)
        dripper = asyncio.create_task(drip(writer, dripping)) if dripping else None
        try:
            return await everything(reader)
        finally:
            if dripper is not None:
                dripper.cancel()
                await asyncio.gather(dripper, return_exceptions=True)


def problem_in(answer: bytes) -> tuple[int, str]:
    """Status and code of the only answer in it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"content-type: application/problem+json" in head, answer
    assert b"connection: close" in head
    problem = json.loads(body)
    assert problem["detail"]
    return int(head.split()[1]), problem["code"]


def large_routes() -> list[APIRouter]:
    routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @routes.get("/large")
    async def tell_much() -> Response:
        return Response(b"x" * LARGE)

    return [routes]


@pytest.mark.parametrize(
    ("sent", "dripping", "expected"),
    [
        (b"GET /livez HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n", (408, "head-too-slow")),
        (b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ", b"a", (408, "head-too-slow")),
        (b"GET /", b"a", (408, "head-too-slow")),
        (b"GET", b"", (408, "head-too-slow")),
        # What can be no request is told at once.
        (b"G", b"G", (400, "malformed-request")),
    ],
    ids=["headers", "header", "address", "method", "no method"],
)
async def test_a_head_that_drips_is_cut_with_an_answer(
    issuer: LocalIssuer, sent: bytes, dripping: bytes, expected: tuple[int, str]
) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        assert problem_in(await talk(port, sent, dripping)) == expected


@pytest.mark.parametrize("dripping", [b"", b"\r\n"], ids=["nothing", "empty lines"])
async def test_a_connection_without_a_request_is_closed_silently(issuer: LocalIssuer, dripping: bytes) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        assert await talk(port, b"", dripping) == b""


async def test_a_second_head_that_drips_is_cut_like_the_first(issuer: LocalIssuer) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        answer = await talk(port, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\n", b"a: b\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 408 ") == 1


async def test_an_idle_connection_is_closed(issuer: LocalIssuer) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        answer = await talk(port, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /livez?" + b"a" * 5000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 700 + b"\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 5000 + b"\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nx: " + b"a" * 5000 + b"\r\n\r\n123456789",
    ],
    ids=["address", "many headers", "one header", "with a body"],
)
async def test_a_head_that_is_too_large_is_refused(issuer: LocalIssuer, sent: bytes) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        assert problem_in(await talk(port, sent)) == (431, "head-too-large")


@pytest.mark.parametrize("sent", [b"GET /", b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n"])
async def test_a_head_without_an_end_is_refused_before_its_time_is_over(issuer: LocalIssuer, sent: bytes) -> None:
    patient = ConnectionLimits(head_seconds=DEADLINE, head_bytes=4096)
    piece = b"a: b\r\n" * 100 if sent.endswith(b"\n") else b"a" * 600
    async with served(sample_app(issuer.url), patient) as port:
        assert problem_in(await talk(port, sent, piece)) == (431, "head-too-large")


async def test_a_body_that_drips_is_cut(issuer: LocalIssuer) -> None:
    head = (
        f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\ncontent-length: 5000\r\n\r\n"
    )
    async with served(sample_app(issuer.url, body_seconds=0.3), LIMITS) as port:
        assert problem_in(await talk(port, head.encode(), b" ")) == (408, "body-too-slow")


async def test_an_endless_chunked_body_is_cut(issuer: LocalIssuer) -> None:
    head = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\n"
    async with served(sample_app(issuer.url, body_limit=5000), LIMITS) as port:
        answer = await talk(
            port, head.encode() + b"transfer-encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        )
    assert problem_in(answer) == (413, "body-too-large")


async def test_a_caller_that_does_not_read_the_answer_is_cut(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, routers=large_routes())
    asked = f"GET /v1/large HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\n\r\n"
    async with served(app, LIMITS) as port:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", port))
            caller.sendall(asked.encode())

            async def is_reset() -> bool:
                return caller.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE

            await eventually(is_reset, what="a connection that was reset")


async def test_a_caller_that_reads_gets_a_large_answer_whole(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, routers=large_routes())
    head = {"authorization": f"Bearer {issuer.token()}"}
    async with served(app, LIMITS) as port, httpx2.AsyncClient(headers=head, timeout=DEADLINE) as client:
        assert len((await client.get(f"http://127.0.0.1:{port}/v1/large")).content) == LARGE


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        b"GET / HTTP/3.0\r\nhost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /livezñ HTTP/1.1\r\nhost: x\r\n\r\n".encode(),
        b"GET /livez HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nho\x00st: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\x00y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 1e9\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999999\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_once_and_the_next_caller_is_served(issuer: LocalIssuer, sent: bytes) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        smuggled = sent + b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
        assert problem_in(await talk(port, smuggled)) == (400, "malformed-request")
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 200


async def test_a_chunk_that_is_no_chunk_ends_the_connection(issuer: LocalIssuer) -> None:
    head = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\n"
    async with served(sample_app(issuer.url), LIMITS) as port:
        answer = await talk(port, head.encode() + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    assert answer == b""


@pytest.mark.parametrize("endless", [b"x-more: " + b"b" * 500 + b"\r\n", b"b" * 500], ids=["lines", "value"])
async def test_trailers_without_an_end_end_the_connection(issuer: LocalIssuer, endless: bytes) -> None:
    head = b"POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-more: "
    async with served(sample_app(issuer.url, body_seconds=DEADLINE * 10), LIMITS) as port:
        assert await talk(port, head, endless) == b""


async def test_a_trailer_is_no_header(issuer: LocalIssuer) -> None:
    body = b'11\r\n{"title": "hola"}\r\n0\r\n'
    head = b"POST /v1/notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\nconnection: close\r\n"
    token = f"authorization: Bearer {issuer.token()}\r\n".encode()
    async with served(sample_app(issuer.url), LIMITS) as port:
        as_header = await talk(port, head + token + b"\r\n" + body + b"\r\n")
        as_trailer = await talk(port, head + b"\r\n" + body + token + b"\r\n")
    assert (as_header[9:12], as_trailer[9:12]) == (b"201", b"401")


async def test_what_follows_a_refused_head_is_not_done(issuer: LocalIssuer) -> None:
    done: list[int] = []
    routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @routes.get("/counted")
    async def count() -> None:
        done.append(1)

    request = f"GET /v1/counted HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\n".encode()
    async with served(sample_app(issuer.url, routers=[routes]), LIMITS) as port:
        answer = await talk(port, b"GET /livez HTTP/1.1\r\nx-long: " + b"a" * 5000 + b"\r\n\r\n" + request + b"\r\n")
        assert problem_in(answer) == (431, "head-too-large")
        assert done == []
        assert (await talk(port, request + b"connection: close\r\n\r\n"))[9:12] == b"200"
    assert done == [1]


async def test_a_body_in_small_pieces_is_taken(issuer: LocalIssuer) -> None:
    text = "hola " * 600
    body = json.dumps({"title": "hola", "text": text}).encode()
    pieces = b"".join(b"40\r\n" + body[at : at + 64].ljust(64) + b"\r\n" for at in range(0, len(body), 64))
    head = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issuer.token()}\r\nconnection: close\r\n"
    async with served(sample_app(issuer.url), LIMITS) as port:
        answer = await talk(
            port,
            head.encode()
            + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            + pieces
            + b"0\r\n\r\n",
        )
    assert answer[9:12] == b"201"


async def test_requests_in_a_row_are_answered_in_their_order(issuer: LocalIssuer) -> None:
    async with served(sample_app(issuer.url), LIMITS) as port:
        answer = await talk(
            port, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
    assert answer.index(b"HTTP/1.1 200 ") < answer.index(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 ") == 2


async def test_two_hundred_slow_callers_are_cut_while_an_ordinary_one_is_served(issuer: LocalIssuer) -> None:
    token = issuer.token()
    authorized = f"POST /v1/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    kinds: list[tuple[bytes, bytes]] = [
        (b"GET /livez HTTP/1.1\r\n", b"a: b\r\n"),
        (b"", b"\r\n"),
        (authorized.encode() + b"content-length: 5000\r\n\r\n", b" "),
        (authorized.encode() + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", b""),
    ]
    async with (
        served(sample_app(issuer.url, body_seconds=0.5), LIMITS) as port,
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=DEADLINE) as client,
    ):
        slow = [asyncio.create_task(talk(port, *kinds[number % len(kinds)])) for number in range(200)]
        served_meanwhile = 0
        while not all(task.done() for task in slow):
            assert (await client.get(f"http://127.0.0.1:{port}/v1/me")).status_code == 200
            served_meanwhile += 1
        answers = await asyncio.gather(*slow)
    assert served_meanwhile > 10
    statuses = [sorted({answer[9:12] for answer in answers[kind :: len(kinds)]}) for kind in range(len(kinds))]
    assert statuses == [[b"408"], [b""], [b"408"], [b"408"], [b"200"]]
