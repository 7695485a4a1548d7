"""Idempotency-Key: the same request sent again gets the same answer, and nothing is done twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from shared import clock
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.errors import Conflict, Invalid
from shared.http.auth import caller_of
from shared.http.context import context_of
from shared.http.etag import etag_of
from shared.http.transaction import Tx

IDEMPOTENCY_KEY = "Idempotency-Key"
RETRY_SECONDS = 1
_MEDIA_TYPE = "application/json"

# One round trip: the lock, and the answer that was kept. Whoever holds the lock is doing it now.
_RECALL = sql("SELECT * FROM runtime.recall_answer(:caller, :route, :key)")
_KEEP = sql("""
    INSERT INTO runtime.idempotency (caller, route, key, request_digest, status, headers, body, answered_at)
    VALUES (:caller, :route, :key, :digest, :status, :headers, :body, :now)
""")

_Key = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="yours, new for each thing to be done; a repetition within 24 hours gets the first answer again",
        examples=["0199a3f2-4c1b-7d11-9f5e-6a0c2b7de401"],
    ),
]


class RequestInProgress(Conflict):
    """The same key is being worked on at this moment."""

    code = "request-in-progress"
    title = "The same request is being worked on"


class KeyUsedOtherwise(Invalid):
    """The key came with another request before."""

    code = "idempotency-key-used"
    title = "The Idempotency-Key was used for another request"


class AnsweredBefore(Exception):
    """The request was done earlier; these are the parts of the answer that it was given."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__()
        self.status, self.headers, self.body = status, headers, body


@dataclass(frozen=True, slots=True)
class Once:
    """One request that is done once: `return await once.answer(...)` keeps its answer in the transaction of its effect.

    `identity` is None for a request without a key, which is answered and not remembered.
    """

    tx: Transaction
    identity: Mapping[str, Any] | None = None

    async def answer(
        self, body: BaseModel, *, version: int | None, status: int = 200, location: str | None = None
    ) -> Response:
        """The answer, kept under the key for as long as it may be asked again; with an ETag where it has a version."""
        headers = {} if version is None else {"etag": etag_of(version)}
        headers |= {} if location is None else {"location": location}
        response = Response(body.model_dump_json(), status, headers, _MEDIA_TYPE)
        if self.identity is not None:
            kept = {"status": status, "headers": headers, "body": bytes(response.body), "now": clock.now()}
            await self.tx.write(_KEEP, {**self.identity, **kept})
        return response


async def once(request: Request, tx: Tx, idempotency_key: _Key = None) -> Once:
    """Locks the key and looks whether it was answered before; without a key it does nothing.

    Where the sender signs, the key is the id of the delivery, which is signed too. Raises AnsweredBefore,
    RequestInProgress, KeyUsedOtherwise, and Invalid for more than one key.
    """
    context = context_of(request.scope)
    if context is not None and context.delivery is not None:
        idempotency_key = context.delivery.id
    elif idempotency_key is None:
        return Once(tx)
    elif len(request.headers.getlist(IDEMPOTENCY_KEY)) > 1:
        raise Invalid("Send one Idempotency-Key.")
    route = f"{request.method} {request.scope['route'].path}"
    whose = {"caller": (await caller_of(request)).id, "route": route, "key": idempotency_key}
    digest = await _digest_of(request)
    found = await tx.fetch_one(_RECALL, whose)
    if not found.locked:
        raise RequestInProgress(
            "A request with this Idempotency-Key is being worked on: send it again in a moment and get its answer.",
            retry_after_seconds=RETRY_SECONDS,
        )
    if found.status is None:
        return Once(tx, {**whose, "digest": digest})
    if bytes(found.request_digest) != digest:
        raise KeyUsedOtherwise("This Idempotency-Key came with another request before: a new request needs a new key.")
    raise AnsweredBefore(found.status, found.headers, found.body)


Idempotency = Annotated[Once, Depends(once)]


async def answer_again(_request: Request, before: Exception) -> Response:
    """The exception handler for AnsweredBefore."""
    if not isinstance(before, AnsweredBefore):
        raise before
    return Response(before.body, before.status, before.headers, _MEDIA_TYPE)


async def _digest_of(request: Request) -> bytes:
    """What makes a request another one: its whole address and its body, byte by byte."""
    digest = sha256(request.scope.get("raw_path") or request.url.path.encode())
    digest.update(b"\0" + request.scope["query_string"] + b"\0" + await request.body())
    return digest.digest()
