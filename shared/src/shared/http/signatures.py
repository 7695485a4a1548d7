"""Doors for machines that sign what they send: HMAC over the raw body, in the form of Standard Webhooks.

A delivery has an id, an instant and signatures in three headers; what is signed is `<id>.<instant>.<body>`
(github.com/standard-webhooks/standard-webhooks, version 1). Nothing else of the request is signed, so nothing else may
decide what is done.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from shared import clock
from shared.db.engine import Engine
from shared.db.failures import DatabaseFailure
from shared.errors import Unauthenticated
from shared.http.context import Actor
from shared.http.transaction import is_passing, translated

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
# How far the clocks of both sides, and the way between them, may be apart: older than that is a replay.
WINDOW_SECONDS = 300
_WRITTEN_BEFORE = "whsec_"
_VERSION = b"v1,"
# A sender that changes its secret signs with both; more signatures than that would only be guesses.
_MOST_SIGNATURES = 4
# A full stop parts what is signed, so it may stand in neither.
_SANE_ID = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,255}")
_SANE_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
# Stands in where nobody is known, so that the answer takes as long.
_NOBODY = b"\0" * 32


class NotSigned(Unauthenticated):
    """The delivery is not signed by anybody whom this address knows, or not now."""

    code = "not-signed"
    title = "A good signature is needed"
    scheme = "HMAC"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and the secrets that it may have used: two, while one takes the place of the other."""

    actor: Actor
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What the headers of a delivery state, before anybody has vouched for it."""

    id: bytes
    timestamp: bytes
    signatures: tuple[bytes, ...]


# From the parameters of the path (which connection, which installation) to whoever may sign there; None: nobody.
FindSigner = Callable[[Engine, Mapping[str, str]], Awaitable[Signer | None]]


class HmacVerifier:
    """Knows a caller by its signature; one for each door. A secret belongs to one door, or what was signed for one
    would be good at the other."""

    def __init__(self, find_signer: FindSigner, *, window_seconds: int = WINDOW_SECONDS) -> None:
        self._find_signer = find_signer
        self._window_seconds = window_seconds

    def read_head(self, headers: Sequence[tuple[bytes, bytes]]) -> SignedHead:
        """What the headers state. Raises NotSigned, before any body is read, for one not whole or not of now."""
        head = SignedHead(
            _stated(headers, ID, _SANE_ID),
            _stated(headers, TIMESTAMP, _SANE_TIMESTAMP),
            tuple(each[len(_VERSION) :] for each in _stated(headers, SIGNATURE).split() if each.startswith(_VERSION)),
        )
        if not 0 < len(head.signatures) <= _MOST_SIGNATURES:
            raise NotSigned(f"Send one to {_MOST_SIGNATURES} signatures of the form v1,<base64> in {SIGNATURE}.")
        if abs(clock.now().timestamp() - int(head.timestamp)) > self._window_seconds:
            raise NotSigned(
                f"{TIMESTAMP} is more than {self._window_seconds} seconds from now: sign each attempt anew, and set "
                "the clock of the sender."
            )
        return head

    async def verify(self, head: SignedHead, body: bytes, engine: Engine, parameters: Mapping[str, str]) -> Actor:
        """The actor whose signature fits. Raises NotSigned, and Unavailable where the look-up cannot be done now.

        Whoever is not known here and whoever signs wrongly get the same answer: it would tell which addresses exist.
        """
        try:
            signer = await self._find_signer(engine, parameters)
        except DatabaseFailure as error:
            raise translated(error, passing=is_passing(error)) from error
        secrets = signer.secrets if signer is not None and signer.secrets else (_NOBODY,)
        fitting = [
            hmac.compare_digest(signature_of(secret, head.id, head.timestamp, body), stated)
            for secret in secrets
            for stated in map(_decoded, head.signatures)
        ]
        if signer is None or not signer.secrets or not any(fitting):
            raise NotSigned("No signature fits: sign <webhook-id>.<webhook-timestamp>.<body> with the agreed secret.")
        return signer.actor


@dataclass(frozen=True, slots=True)
class SignedDoor:
    """One method of one path that is known by a signature; `pattern` finds the parameters of the path."""

    method: str
    pattern: re.Pattern[str]
    verifier: HmacVerifier

    def matches(self, scope: Scope) -> bool:
        """Whether a request is for this door."""
        return scope["method"] == self.method and self.pattern.match(scope["path"]) is not None

    async def verify(self, head: SignedHead, body: bytes, scope: Scope) -> Actor:
        """As the verifier, for a request that matches."""
        found = self.pattern.match(scope["path"])
        parameters = found.groupdict() if found is not None else {}
        return await self.verifier.verify(head, body, scope["app"].state.engine, parameters)


def signature_of(secret: bytes, id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 of a delivery, as bytes."""
    return hmac.digest(secret, b".".join((id, timestamp, body)), "sha256")


def secret_of(text: str) -> bytes:
    """The bytes of a secret as Standard Webhooks writes it: `whsec_` and base64. Raises ValueError for another form.

    It has 24 to 64 bytes, as the standard says: a shorter one could be guessed.
    """
    if not text.startswith(_WRITTEN_BEFORE):
        raise ValueError(f"a secret begins with {_WRITTEN_BEFORE}")
    secret = b64decode(text.removeprefix(_WRITTEN_BEFORE), validate=True)
    if not 24 <= len(secret) <= 64:
        raise ValueError("a secret has 24 to 64 bytes")
    return secret


def _stated(headers: Sequence[tuple[bytes, bytes]], name: str, form: re.Pattern[bytes] | None = None) -> bytes:
    found = [value for key, value in headers if key == name.encode()]
    # Two of them are two readings, and neither is believed.
    if len(found) != 1 or (form is not None and not form.fullmatch(found[0])):
        raise NotSigned(f"Send {ID}, {TIMESTAMP} and {SIGNATURE}, each once, as Standard Webhooks describes them.")
    return found[0]


def _decoded(signature: bytes) -> bytes:
    try:
        return b64decode(signature, validate=True)
    except ValueError:
        return b""
