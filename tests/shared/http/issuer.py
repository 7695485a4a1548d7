"""An OpenID Connect issuer on loopback, with keys of its own, that counts how often it is asked and can fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from joserfc import jwk, jwt

from shared import clock

AUDIENCE = "psa-desk"


class LocalIssuer:
    """Signs tokens and publishes its keys; `broken` makes every answer a 500, `announced` is a name not its own."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.broken = False
        self.announced: str | None = None
        # The configuration as bytes, where it is not what it should be; and answers that never end.
        self.configuration: bytes | None = None
        self.dripping = False
        self.signing: jwk.RSAKey | jwk.ECKey = first_key()
        self.published: Any = [public(self.signing)]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to None leaves that claim out."""
        now = int(clock.now().timestamp())
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ana",
            "name": "Ana Gómez",
            "roles": ["agent"],
            "iat": now,
            "exp": now + 300,
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        """A token signed by this issuer, or by another key that claims to be it."""
        signer = key or self.signing
        algorithm = "ES256" if isinstance(signer, jwk.ECKey) else "RS256"
        head = {"alg": algorithm, "kid": self.signing.kid, "typ": "at+jwt"} | (header or {})
        return jwt.encode(head, self.claims(**changes), signer, algorithms=["RS256", "ES256", "RS512", "HS256"])

    def rotate(self, key: jwk.RSAKey | jwk.ECKey, *, keep: bool = True) -> None:
        """Signs with another key from now on; `keep` leaves the old one published."""
        self.signing = key
        self.published = [*(self.published if keep else []), public(key)]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[LocalIssuer]:
        """Answers on a free port while the block runs."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
        self.asked += path.endswith("openid-configuration")
        documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.announced or self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": self.published},
        }
        status = 500 if self.broken else 200 if path in documents else 404
        body = json.dumps(documents.get(path, {})).encode()
        if self.configuration is not None and path.endswith("openid-configuration"):
            body = self.configuration
        head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + (b"" if self.dripping else body))
        while self.dripping and not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)  # a steady drip
        writer.close()


@cache
def first_key() -> jwk.RSAKey:
    """The key of every issuer at its start: making one takes longer than most tests."""
    return jwk.RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


def public(key: jwk.RSAKey | jwk.ECKey) -> dict[str, Any]:
    """What an issuer publishes of a key."""
    return dict(key.as_dict(private=False))
