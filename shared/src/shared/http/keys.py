"""The issuer's public keys: fetched when needed, remembered, and kept when the issuer does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
from joserfc import jwk
from joserfc.errors import JoseError

from shared.errors import Unavailable
from shared.telemetry.logs import get_logger

Key = jwk.RSAKey | jwk.ECKey
Environment = Literal["development", "production"]

# What a token may be signed with.
ALGORITHMS = ("RS256", "ES256")

# With this the runner's issuer says in its configuration what it is, so that no proxy before it can hide it.
DEVELOPMENT_MARK = "psa_desk_development"

_FETCH_SECONDS = 3.0
_FRESH_SECONDS = 600.0
# A caller who invents key ids must not make this process ask the issuer each time.
_PAUSE_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_MOST_KEYS = 32
_SMALLEST_RSA_BITS = 2048
# What is taken of a published key. Its private half, should somebody publish that, is not among it.
_MEMBERS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")
# Whatever an issuer answers that is not what it should be is its failure, and no error of this process.
_FAILURES = (
    httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError, RecursionError,
)  # fmt: skip

log = get_logger(__name__)


class IssuerKeys:
    """The signature keys of one OpenID Connect issuer."""

    def __init__(self, issuer: str, env: Environment) -> None:
        """Raises ValueError for an issuer that `env` does not allow: production wants https and no loopback address."""
        self.issuer = issuer.rstrip("/")
        self._production = env == "production"
        self._check_address(issuer)
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self.generation = 0

    def thumbprints(self) -> frozenset[str]:
        """The thumbprints (RFC 7638) of the keys that are valid now."""
        return frozenset(key.thumbprint() for key in self._keys)

    def refresh_when_old(self) -> None:
        """Asks the issuer again in the background when its keys are older than ten minutes."""
        now = _now()
        old = self._fetched_at is not None and now - self._fetched_at > _FRESH_SECONDS
        if old and self._may_ask(now, _PAUSE_SECONDS) and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh(_PAUSE_SECONDS))

    async def candidates(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that may have signed; asks the issuer when none is. Raises Unavailable before its first answer."""
        if self._fetched_at is None:
            await self._refresh(_RETRY_SECONDS)
        if self._fetched_at is None:
            raise Unavailable(
                f"The identity provider {self.issuer} does not answer, so no token can be verified; try again soon.",
                retry_after_seconds=_PAUSE_SECONDS.__ceil__(),
            )
        found = self._matching(kid, algorithm)
        if not found:
            await self._refresh(_PAUSE_SECONDS)
            found = self._matching(kid, algorithm)
        return found

    async def changed_candidates(self, kid: str | None, algorithm: str) -> list[Key]:
        """For a token that no candidate has signed: those that the issuer has now, where no name told them apart.

        A key that is replaced under another name is asked for by that name; of one without a name, or for a token
        without one, only a failure tells that there may be another.
        """
        if all(kid is not None and key.kid is not None for key in self._matching(kid, algorithm)):
            return []
        generation = self.generation
        await self._refresh(_PAUSE_SECONDS)
        return self._matching(kid, algorithm) if self.generation != generation else []

    def _matching(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys of that name. The only key, when it has none, fits every token: there is nothing to tell it from.

        A name only chooses; who signed is decided by the signature. With several keys a token must name its own
        (OpenID Connect Core, 10.1), so there the name is believed.
        """
        is_only_and_nameless = len(self._keys) == 1 and self._keys[0].kid is None
        return [key for key in self._keys if (kid in (None, key.kid) or is_only_and_nameless) and _fits(key, algorithm)]

    def _may_ask(self, now: float, pause: float) -> bool:
        return self._tried_at is None or now - self._tried_at >= pause

    async def _refresh(self, pause: float) -> None:
        """Fetches the keys once for all who wait; on an error the old ones stay."""
        async with self._lock:
            if not self._may_ask(_now(), pause):
                return
            try:
                keys = await self._fetch()
            except _FAILURES as error:
                log.warning("the keys of the issuer could not be fetched", issuer=self.issuer, reason=error)
            else:
                self._keys = keys
                self._fetched_at = _now()
                self.generation += 1
            finally:
                self._tried_at = _now()

    async def _fetch(self) -> tuple[Key, ...]:
        # A proxy from the environment is right for an issuer elsewhere and wrong for one on this machine.
        client = httpx2.AsyncClient(timeout=_FETCH_SECONDS, trust_env=not _is_loopback(self.issuer))
        async with client, asyncio.timeout(_FETCH_SECONDS * 2):
            found = await client.get(f"{self.issuer}/.well-known/openid-configuration")
            metadata = found.raise_for_status().json()
            if str(metadata["issuer"]).rstrip("/") != self.issuer:
                raise ValueError("the issuer's own configuration names another issuer")
            if self._production and metadata.get(DEVELOPMENT_MARK):
                raise ValueError("this is a development issuer: whoever can ask it can be anybody")
            address = metadata["jwks_uri"]
            if not isinstance(address, str):
                raise TypeError("the issuer's configuration has no address of its keys")
            self._check_address(address)
            answer = await client.get(address)
            published = answer.raise_for_status().json()["keys"]
        self._tell_other_algorithms(published)
        keys = tuple(islice(_usable(published), _MOST_KEYS))
        if not keys:
            raise ValueError(f"the issuer publishes no key for {' or '.join(ALGORITHMS)} signatures")
        return keys

    def _tell_other_algorithms(self, published: Iterable[Any]) -> None:
        """For whoever wonders why a key of the issuer is not believed; a key for encryption is no such."""
        others = [
            {"kid": str(each.get("kid"))[:100], "alg": each["alg"][:100]}
            for each in published
            if isinstance(each, dict) and isinstance(each.get("alg"), str)
            if each["alg"] not in ALGORITHMS and each.get("use", "sig") == "sig"
        ]
        if others:
            log.info(
                "keys of the issuer are passed over: their algorithm is not allowed",
                issuer=self.issuer, count=len(others), first=others[0], allowed=ALGORITHMS,
            )  # fmt: skip

    def _check_address(self, address: str) -> None:
        parts = urlsplit(address)
        # A port beyond all ports is a ValueError as soon as it is asked for.
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError(f"the issuer's address {address} is not an http or https URL")
        if self._production and (parts.scheme != "https" or _is_loopback(address)):
            raise ValueError(f"in production the issuer must be reached by https and not on this machine: {address}")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _usable(published: Iterable[Any]) -> Iterator[Key]:
    """The public keys that can verify an allowed algorithm; whatever else stands among them is passed over."""
    for each in published:
        key = _key_of(each)
        if key is not None:
            yield key


def _key_of(published: Any) -> Key | None:
    """The key of an entry; None for one of another use, for another algorithm, too short, or simply odd.

    A symmetric key is never taken from a public document.
    """
    if not isinstance(published, dict):
        return None
    told = {name: published[name] for name in _MEMBERS if published.get(name) is not None}
    if not all(isinstance(value, str) for value in told.values()):
        return None
    uses = published.get("key_ops")
    if told.get("use", "sig") != "sig" or (isinstance(uses, list) and "verify" not in uses):
        return None
    if told.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
        return None
    try:
        key = jwk.import_key(told) if told.get("kty") in {"RSA", "EC"} else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, jwk.RSAKey):
        return key if key.raw_value.key_size >= _SMALLEST_RSA_BITS else None
    return key if isinstance(key, jwk.ECKey) else None


def _fits(key: Key, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    if algorithm == "RS256":
        return isinstance(key, jwk.RSAKey)
    return isinstance(key, jwk.ECKey) and key.curve_name == "P-256"
