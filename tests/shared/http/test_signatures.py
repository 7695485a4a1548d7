"""A door for machines that sign: who signed well passes, once; everything else is told the same, whatever it tries."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.requests import Request

from shared.db.engine import Engine
from shared.db.statement import sql
from shared.http.app import UndeclaredDoor, doors_of
from shared.http.auth import CauseDep, needs, signed
from shared.http.context import Actor
from shared.http.idempotency import Idempotency
from shared.http.signatures import HmacVerifier, Signer, secret_of, signature_of
from shared.http.transaction import Tx
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.shared.output import Output
from tests.support.databases import OWNER, Database

SECRET, NEW_SECRET, OTHERS_SECRET = b"s" * 32, b"n" * 32, b"o" * 32
SIGNERS = {
    "board": Signer(Actor("system:board", "Board"), (SECRET, NEW_SECRET)),
    "other": Signer(Actor("system:other", "Other"), (OTHERS_SECRET,)),
    "silent": Signer(Actor("system:silent", "Silent"), ()),
}
BODY = b'{"moved": 7}'


async def find_signer(_engine: Engine, parameters: Mapping[str, str]) -> Signer | None:
    return SIGNERS.get(parameters["connection"])


class Told(BaseModel):
    """What a delivery was answered."""

    actor: str
    moved: int


class Moved(BaseModel):
    """What a delivery says."""

    moved: int


def deliveries(**options: Any) -> APIRouter:
    """One door for signatures and one for tokens at neighbouring addresses."""
    routes = APIRouter(prefix="/v1/hooks")

    @routes.post("/{connection}", dependencies=[signed(HmacVerifier(find_signer, **options))])
    async def take(cause: CauseDep, connection: str, body: Moved) -> Told:
        return Told(actor=cause.actor, moved=body.moved)

    @routes.get("/{connection}", dependencies=[needs("ticket:read")])
    async def show(connection: str) -> str:
        return connection

    return routes


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url, routers=[deliveries()])


@pytest.fixture
async def sender(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app, None) as client:
        yield client


def head(body: bytes = BODY, *, secret: bytes = SECRET, id: str = "delivery-1", ago: float = 0) -> dict[str, str]:
    """The headers of a delivery that is signed well."""
    stamp = str(int((datetime.now(UTC) - timedelta(seconds=ago)).timestamp()))
    signature = b64encode(signature_of(secret, id.encode(), stamp.encode(), body)).decode()
    made = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    return {"content-type": "application/json", **made}


def test_the_signature_is_the_one_of_the_standard() -> None:
    """The example that the reference libraries of Standard Webhooks are tested with."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = signature_of(secret, b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", b'{"test": 2432232314}')
    assert b64encode(signature) == b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_?", "whsec_" + "A" * 100]
)
def test_a_secret_of_another_form_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the driver, or ours
        secret_of(text)


@pytest.mark.parametrize("secret", [SECRET, NEW_SECRET])
async def test_what_is_signed_well_passes_with_either_secret(sender: httpx2.AsyncClient, secret: bytes) -> None:
    answer = await sender.post("/v1/hooks/board", content=BODY, headers=head(secret=secret))
    assert (answer.status_code, answer.json()) == (200, {"actor": "system:board", "moved": 7})


async def test_one_good_signature_among_several_is_enough(sender: httpx2.AsyncClient) -> None:
    good = head()
    signatures = f"v1,{b64encode(b'x' * 32).decode()} v1a,unknown {good['webhook-signature']}"
    answer = await sender.post("/v1/hooks/board", content=BODY, headers=good | {"webhook-signature": signatures})
    assert answer.status_code == 200


# How each is signed, and what is changed in its headers afterwards: when the test runs, or it would be stale by then.
@pytest.mark.parametrize(
    ("path", "how", "changes", "body"),
    [
        ("board", {"secret": b"f" * 32}, {}, BODY),
        ("board", {"secret": OTHERS_SECRET}, {}, BODY),
        ("other", {}, {}, BODY),
        ("board", {}, {}, b'{"moved": 8}'),
        ("board", {}, {}, BODY + b" "),
        ("board", {}, {}, b""),
        ("board", {"body": b""}, {}, BODY),
        ("board", {}, {"webhook-id": "delivery-2"}, BODY),
        ("board", {"ago": 200}, {"webhook-timestamp": None}, BODY),
        ("board", {}, {"webhook-signature": "v1,"}, BODY),
        ("board", {}, {"webhook-signature": "v1,not base64"}, BODY),
        ("nobody", {}, {}, BODY),
        ("nobody", {"secret": b"\0" * 32}, {}, BODY),
        ("silent", {"secret": b"\0" * 32}, {}, BODY),
        ("silent", {"secret": b""}, {}, BODY),
    ],
)
async def test_what_is_forged_or_changed_is_told_that_no_signature_fits(
    sender: httpx2.AsyncClient, path: str, how: dict[str, Any], changes: dict[str, str | None], body: bytes
) -> None:
    now = head()
    told = head(**how) | {name: value if value is not None else now[name] for name, value in changes.items()}
    answer = await sender.post(f"/v1/hooks/{path}", content=body, headers=told)
    assert answer.status_code == 401
    assert (answer.json()["code"], answer.json()["detail"].partition(":")[0]) == ("not-signed", "No signature fits")
    assert answer.headers["www-authenticate"] == 'HMAC realm="psa-desk"'


@pytest.mark.parametrize("ago", [301.5, 86_400, -302])
async def test_what_was_signed_long_ago_or_will_be_is_stale(sender: httpx2.AsyncClient, ago: float) -> None:
    answer = await sender.post("/v1/hooks/board", content=BODY, headers=head(ago=ago))
    assert answer.status_code == 401
    assert "300 seconds from now" in answer.json()["detail"]


async def test_a_door_has_the_window_that_it_says(issuer: LocalIssuer) -> None:
    app = sample_app(issuer.url, routers=[deliveries(window_seconds=3600)])
    async with client_of(app, None) as sender:
        assert (await sender.post("/v1/hooks/board", content=BODY, headers=head(ago=3000))).status_code == 200
        assert (await sender.post("/v1/hooks/board", content=BODY, headers=head(ago=4000))).status_code == 401


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_head_that_is_not_whole_is_refused(sender: httpx2.AsyncClient, missing: str) -> None:
    told = head()
    del told[missing]
    assert (await sender.post("/v1/hooks/board", content=BODY, headers=told)).status_code == 401
    for wrong in ("", "a.b" if missing != "webhook-signature" else "v2,AAAA", " ".join(["v1,AAAA"] * 5)):
        answer = await sender.post("/v1/hooks/board", content=BODY, headers=told | {missing: wrong})
        assert (answer.status_code, answer.json()["code"]) == (401, "not-signed")
    twice = [*head().items(), (missing, head()[missing])]
    assert (await sender.post("/v1/hooks/board", content=BODY, headers=twice)).status_code == 401


async def test_a_token_opens_no_door_of_signatures_and_a_signature_none_of_tokens(
    issuer: LocalIssuer, app: FastAPI
) -> None:
    async with client_of(app, issuer.token()) as person:
        answer = await person.post("/v1/hooks/board", content=BODY, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not-signed")
        assert (await person.get("/v1/hooks/board")).json() == "board"
    async with client_of(app, None) as machine:
        for method, path in (("GET", "/v1/hooks/board"), ("PUT", "/v1/hooks/board"), ("POST", "/v1/hooks/board/more")):
            answer = await machine.request(method, path, headers=head(b""))
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), "also where nothing is"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
async def test_a_signature_opens_only_the_method_that_the_door_declares(issuer: LocalIssuer, method: str) -> None:
    only = APIRouter(prefix="/v1/only")
    reached = []

    @only.post("/{connection}", dependencies=[signed(HmacVerifier(find_signer))])
    async def take(connection: str) -> None:
        reached.append(connection)

    app = sample_app(issuer.url, routers=[only])
    async with client_of(app, None) as machine, client_of(app, issuer.token()) as person:
        refused = await machine.request(method, "/v1/only/board", content=BODY, headers=head())
        other = await person.request(method, "/v1/only/board", content=BODY, headers=head())
    assert refused.status_code == 401
    assert (other.status_code, other.headers["allow"]) == (405, "POST")
    assert reached == []


def test_one_verifier_at_two_doors_does_not_open_either(issuer: LocalIssuer) -> None:
    """Neither method nor path is signed: a delivery that was taken at one could be sent again to the other."""
    both = APIRouter(prefix="/v1/both", dependencies=[signed(HmacVerifier(find_signer))])

    @both.post("/{connection}")
    async def take(connection: str) -> None: ...

    @both.delete("/{connection}")
    async def forget(connection: str) -> None: ...

    with pytest.raises(UndeclaredDoor, match=r"DELETE /v1/both/\{connection\}, POST /v1/both/.*: one HmacVerifier"):
        sample_app(issuer.url, routers=[both])


async def test_a_door_of_tokens_at_the_same_address_is_not_opened_by_a_signature(issuer: LocalIssuer) -> None:
    overlapping = APIRouter(prefix="/v1/hooks")

    @overlapping.post("/board", dependencies=[needs("ticket:read")])
    async def of_tokens() -> str:
        return "reached"

    app = sample_app(issuer.url, routers=[overlapping, deliveries()])
    async with client_of(app, issuer.token()) as caller:
        answer = await caller.post("/v1/hooks/board", content=BODY, headers=head())
        assert answer.status_code == 401


async def test_what_is_not_signed_decides_nothing(sender: httpx2.AsyncClient) -> None:
    answer = await sender.post("/v1/hooks/board?moved=8", content=BODY, headers=head())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_nobody_looks_into_a_body_before_its_signature_is_known(sender: httpx2.AsyncClient) -> None:
    nonsense = b'{"moved": 7, "moved": 8}'
    assert (await sender.post("/v1/hooks/board", content=nonsense, headers=head())).status_code == 401
    assert (await sender.post("/v1/hooks/board", content=nonsense, headers=head(nonsense))).status_code == 400


async def test_a_stale_delivery_is_refused_before_its_body_is_read(app: FastAPI) -> None:
    told = [(name.encode(), value.encode()) for name, value in (head(ago=900) | {"content-length": "5"}).items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/hooks/board", "query_string": b"", "headers": told}
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**scope, "root_path": "", "scheme": "http", "raw_path": b"", "client": None}, receive, send)
    assert sent[0]["status"] == 401


async def test_who_signed_stands_in_the_access_line_and_no_secret_does(
    sender: httpx2.AsyncClient, output: Output
) -> None:
    await sender.post("/v1/hooks/board", content=BODY, headers=head())
    assert [line.get("actor") for line in output.lines if line["event"] == "request"] == ["system:board"]
    assert "v1," not in output.text


async def test_the_description_says_how_a_delivery_is_signed(app: FastAPI) -> None:
    for document in (app.openapi(), app.openapi()):
        operation = document["paths"]["/v1/hooks/{connection}"]["post"]
        assert operation["security"] == [{"hmac": []}]
        assert [each["name"] for each in operation["parameters"]] == ["connection", "webhook-id", "webhook-timestamp"]
        assert "x-permission" not in operation
        assert "403" not in operation["responses"]
        assert document["components"]["securitySchemes"]["hmac"]["name"] == "webhook-signature"
    assert "hmac" not in sample_app("http://127.0.0.1:9").openapi()["components"]["securitySchemes"]


def test_every_door_says_how_it_knows_its_caller(app: FastAPI) -> None:
    known = {(door.method, door.path): (door.known, door.permission) for door in doors_of(app) if not door.is_open}
    assert known == {
        ("POST", "/v1/hooks/{connection}"): ("hmac", None),
        ("GET", "/v1/hooks/{connection}"): ("bearer", "ticket:read"),
    }


def test_a_door_with_two_locks_does_not_open(issuer: LocalIssuer) -> None:
    both = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])

    @both.post("/both", dependencies=[signed(HmacVerifier(find_signer))])
    async def take(_request: Request) -> None: ...

    with pytest.raises(UndeclaredDoor, match="POST /v1/both"):
        sample_app(issuer.url, routers=[both])


@pytest.fixture
async def db(database: Callable[[str], Awaitable[Database]]) -> Database:
    made = await database("runtime")
    async with made.connect(OWNER) as connection:
        await connection.execute("CREATE TABLE moves (moved int)")
        await connection.execute("CREATE TABLE senders (connection text, secret bytea)")
        await connection.execute("INSERT INTO senders VALUES ('board', $1)", SECRET)
        await connection.execute("GRANT ALL ON moves, senders TO PUBLIC")
    return made


async def find_stored(engine: Engine, parameters: Mapping[str, str]) -> Signer | None:
    """As a service keeps them: the secret stands in its database."""
    async with engine.connect() as reader:
        told = "SELECT secret FROM senders WHERE connection = :connection"
        secret = await reader.fetch_value(sql(told), dict(parameters))
    return Signer(Actor("system:board", "Board"), (secret,)) if secret is not None else None


def stored() -> APIRouter:
    """A door that does something, with its secrets in the database."""
    routes = APIRouter(prefix="/v1/hooks")

    @routes.post("/{connection}", dependencies=[signed(HmacVerifier(find_stored))])
    async def take(tx: Tx, cause: CauseDep, once: Idempotency, connection: str, body: Moved) -> Any:
        await tx.execute(sql("INSERT INTO moves VALUES (:moved)"), {"moved": body.moved})
        return await once.answer(Told(actor=cause.actor, moved=body.moved), version=None, status=202)

    return routes


async def test_a_delivery_that_is_replayed_is_answered_again_and_done_once(issuer: LocalIssuer, db: Database) -> None:
    async with client_of(sample_app(issuer.url, routers=[stored()], engine=db.engine), None) as sender:
        first = head(ago=10)
        answers = [await sender.post("/v1/hooks/board", content=BODY, headers=told) for told in (first, first, head())]
        assert [(each.status_code, each.text) for each in answers] == [(202, answers[0].text)] * 3
        assert "etag" not in answers[0].headers
        assert await db.count("SELECT count(*) FROM moves") == 1

        other = await sender.post("/v1/hooks/board", content=BODY, headers=head(id="delivery-2"))
        assert other.status_code == 202
        assert await db.count("SELECT count(*) FROM moves") == 2, "the same words under another id are another delivery"

        changed = b'{"moved": 8}'
        refused = await sender.post("/v1/hooks/board", content=changed, headers=head(changed))
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-used")


async def test_a_key_of_the_sender_does_not_take_the_place_of_the_signed_id(issuer: LocalIssuer, db: Database) -> None:
    async with client_of(sample_app(issuer.url, routers=[stored()], engine=db.engine), None) as sender:
        for key in ("a", "b"):
            told = head() | {"idempotency-key": key}
            assert (await sender.post("/v1/hooks/board", content=BODY, headers=told)).status_code == 202
        assert await db.count("SELECT count(*) FROM moves") == 1


async def test_where_nobody_can_look_the_secret_up_the_sender_tries_again(issuer: LocalIssuer) -> None:
    async with client_of(sample_app(issuer.url, routers=[stored()]), None) as sender:
        answer = await sender.post("/v1/hooks/board", content=BODY, headers=head())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
