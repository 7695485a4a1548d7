"""Verifies bearer tokens of one OpenID Connect issuer and says who calls."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError

from shared import clock
from shared.errors import Unauthenticated
from shared.http.context import Actor
from shared.http.keys import ALGORITHMS, Environment, IssuerKeys, Key

LEEWAY_SECONDS = 30
LONGEST_TOKEN_BYTES = 8 * 1024
_MOST_REMEMBERED = 10_000
_FAR_FUTURE = 2**53
# The types of RFC 9068 and of issuers before it; tokens for another purpose (logout, proof of possession) are refused.
# Many issuers call access tokens and ID tokens alike `JWT`: what tells them apart is the audience, an API's name here,
# while an ID token's is the id of a client. So no client may be registered under the name of the audience.
_TYPES = {"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,128}")


class Authenticator:
    """Turns the Authorization header of a request into the actor, or refuses it."""

    def __init__(self, issuer: str, audience: str = "psa-desk", env: Environment = "development") -> None:
        """Raises ValueError for an issuer that `env` does not allow."""
        # Issuers end their own name with a slash or without one; whoever writes a setting does not know which.
        self._names = [issuer.rstrip("/"), issuer.rstrip("/") + "/"]
        self._audience = audience
        self._keys = IssuerKeys(issuer, env)
        self._generation = 0
        self._remembered: dict[bytes, tuple[Actor, float, str]] = {}
        self._registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        # One limit, on the whole token, is what this edge documents.
        self._registry.max_header_length = LONGEST_TOKEN_BYTES
        self._registry.max_payload_length = LONGEST_TOKEN_BYTES

    async def authenticate(self, authorization: bytes | None) -> Actor:
        """The actor of an Authorization header.

        Raises Unauthenticated when it is missing or not good, Unavailable when the issuer's keys cannot be had. A token
        that was verified is believed until it expires or the issuer withdraws its key.
        """
        if authorization is None:
            raise Unauthenticated("Send a bearer token in the Authorization header.")
        if len(authorization) > LONGEST_TOKEN_BYTES:
            raise _refusal(f"The token is longer than {LONGEST_TOKEN_BYTES} bytes.")
        self._keys.refresh_when_old()
        if self._generation != self._keys.generation:
            self._forget_withdrawn()
        digest = sha256(authorization).digest()
        known = self._remembered.get(digest)
        if known is not None and clock.now().timestamp() < known[1] + LEEWAY_SECONDS:
            return known[0]
        return await self._verify(authorization, digest)

    async def _verify(self, authorization: bytes, digest: bytes) -> Actor:
        found = _BEARER.fullmatch(authorization)
        if found is None:
            raise _refusal("The Authorization header is not of the form: Bearer <signed JWT>.")
        token = found[1]
        claims, key = await self._verified_claims(token)
        self._check_claims(claims)
        actor = _actor_of(claims)
        self._remember(digest, (actor, float(min(claims["exp"], _FAR_FUTURE)), key.thumbprint()))
        return actor

    async def _verified_claims(self, token: bytes) -> tuple[dict[str, Any], Key]:
        header = _header_of(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise _refusal(f"The token must be signed with {' or '.join(ALGORITHMS)}.")
        if kid is not None and not isinstance(kid, str):
            raise _refusal("The token's kid is not a text.")
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise _refusal("The token is not an access token.")
        for find in (self._keys.candidates, self._keys.changed_candidates):
            for key in await find(kid, algorithm):
                claims = self._claims_signed_by(key, token, algorithm)
                if claims is not None:
                    return claims, key
        raise _refusal("The token is not signed by a key of the issuer.")

    def _claims_signed_by(self, key: Key, token: bytes, algorithm: str) -> dict[str, Any] | None:
        """What a token says, when this key has signed it."""
        try:
            return jwt.decode(token, key, algorithms=[algorithm], registry=self._registry).claims
        except BadSignatureError:
            return None
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise _refusal("The token cannot be read.") from error

    def _check_claims(self, claims: dict[str, Any]) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(clock.now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "values": self._names},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError as error:
            raise _refusal("The token has expired; get a new one.") from error
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            claim = getattr(error, "claim", None)
            raise _refusal(
                _CLAIM_ADVICE.get(str(claim), "A required claim of the token is missing or wrong.")
            ) from error

    def _remember(self, digest: bytes, entry: tuple[Actor, float, str]) -> None:
        while len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = entry

    def _forget_withdrawn(self) -> None:
        self._generation = self._keys.generation
        valid = self._keys.thumbprints()
        self._remembered = {digest: entry for digest, entry in self._remembered.items() if entry[2] in valid}


_CLAIM_ADVICE = {
    "iss": "The token is of another issuer than the one of this installation.",
    "aud": "The token is for another audience than psa-desk.",
    "nbf": "The token is not valid yet.",
    "iat": "The token was issued in the future.",
}


def _refusal(message: str) -> Unauthenticated:
    return Unauthenticated(message, presented=True)


def _header_of(token: bytes) -> dict[str, Any]:
    """The header, which nobody has vouched for yet: it only says which keys and which algorithm to try."""
    segment = token.partition(b".")[0]
    try:
        header = json.loads(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    except (ValueError, RecursionError) as error:
        raise _refusal("The token cannot be read.") from error
    if not isinstance(header, dict):
        raise _refusal("The token cannot be read.")
    return header


def _actor_of(claims: dict[str, Any]) -> Actor:
    subject = claims["sub"]
    # The id goes into headers of Kafka and into logs; `system:` is how this product names itself.
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or subject.startswith("system:"):
        raise _refusal("The token's subject is not an id of 1 to 128 printable characters, or is reserved.")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _refusal("The token's roles are not a list of texts.")
    name = claims.get("name")
    return Actor(subject, name if isinstance(name, str) and name else subject, frozenset(roles))
