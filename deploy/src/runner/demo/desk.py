"""The four APIs as the personas call them: requests, pages, and errors that tell whether something may be done."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2

from runner.errors import RunnerError

TokenOf = Callable[[str], str]
Document = dict[str, Any]

ANSWER_SECONDS = 30.0
READY_SECONDS = 5.0
# Tokens are good for hours; a new one each quarter of an hour keeps the longest replay going.
TOKEN_KEPT_SECONDS = 900.0
PAGE = 200
# What is raised before anything was sent. After every other failure the request may have been done.
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_MAY_HAVE_BEEN_DONE = (500, 502, 503, 504)
# The same request is being worked on, so its answer comes with the next repetition.
_IN_PROGRESS = "request-in-progress"


class NotUp(RunnerError):
    """The system is not running, or not all of it."""

    code = "not-up"
    title = "The system is not up"


class Refused(RunnerError):
    """The service understood the request and did not do it."""

    code = "refused"
    title = "The service refused the request"

    def __init__(self, status: int, problem: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem


class NotAnswered(RunnerError):
    """No answer that settles it; `ambiguous` says that the request may have been done all the same."""

    code = "not-answered"
    title = "The service did not answer"

    def __init__(self, message: str, *, ambiguous: bool) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class Desk:
    """The public APIs at `urls` (service → address), called with the token that `token_of` gives for a persona."""

    def __init__(
        self,
        urls: Mapping[str, str],
        token_of: TokenOf,
        *,
        connections: int = 16,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._urls = {service: url.rstrip("/") for service, url in urls.items()}
        self._token_of = token_of
        self._tokens: dict[str, tuple[float, str]] = {}
        # These services are on this machine or in this house: a proxy of the environment is not on the way to them.
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(ANSWER_SECONDS),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Desk:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def get(self, service: str, path: str, persona: str = "agent", **query: str | int) -> Any:
        """The answer's JSON. Raises Refused, NotAnswered."""
        return await self._call("GET", service, path, persona, query=query)

    async def post(
        self,
        service: str,
        path: str,
        persona: str,
        body: Document | None = None,
        *,
        version: int | None = None,
        key: str | None = None,
    ) -> Any:
        """The answer's JSON. `version` is what the caller has seen of what it changes.

        Sent again with the same `key` nothing is done twice and the answer is the same. Raises Refused, and
        NotAnswered, which says whether it may have been done.
        """
        headers = {"idempotency-key": key or secrets.token_hex(16), **_seen(version)}
        return await self._call("POST", service, path, persona, body=body, headers=headers)

    async def put(self, service: str, path: str, persona: str, body: Document, *, version: int | None = None) -> Any:
        """The answer's JSON; `version` as for `post`, None for what is new. Again it does nothing twice.

        Raises Refused, NotAnswered.
        """
        return await self._call("PUT", service, path, persona, body=body, headers=_seen(version))

    async def every(self, service: str, path: str, persona: str = "agent", **query: str | int) -> AsyncIterator[Any]:
        """All items of a list, page after page. Raises Refused, NotAnswered."""
        page = await self.get(service, path, persona, limit=PAGE, **query)
        while True:
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            page = await self.get(service, path, persona, limit=PAGE, after=page["next"], **query)

    async def require_ready(self) -> None:
        """Raises NotUp unless every API says that it is ready."""
        answers = await asyncio.gather(*(self._ready(service) for service in self._urls))
        if silent := [
            f"{service} ({url})" for (service, url), ready in zip(self._urls.items(), answers, strict=True) if not ready
        ]:
            raise NotUp(
                f"El sistema no está en marcha: {', '.join(silent)}. Primero `make up` (o `desk up`). / "
                "The system is not up: say `make up` first."
            )

    async def _ready(self, service: str) -> bool:
        try:
            answer = await self._client.get(f"{self._urls[service]}/readyz", timeout=READY_SECONDS)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200

    async def _call(
        self,
        method: str,
        service: str,
        path: str,
        persona: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        head = {"authorization": f"Bearer {self._token(persona)}", **(headers or {})}
        url = f"{self._urls[service]}{path}"
        try:
            answer = await self._client.request(method, url, params=query, json=body, headers=head)
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            ambiguous = not isinstance(error, _NEVER_SENT)
            raise NotAnswered(f"{method} {url}: {reason}", ambiguous=ambiguous) from error
        if answer.is_success:
            return answer.json()
        raise _trouble(method, url, answer)

    def _token(self, persona: str) -> str:
        until, token = self._tokens.get(persona, (0.0, ""))
        if time.monotonic() >= until:
            token = self._token_of(persona)
            self._tokens[persona] = (time.monotonic() + TOKEN_KEPT_SECONDS, token)
        return token


def _seen(version: int | None) -> dict[str, str]:
    return {} if version is None else {"if-match": f'"{version}"'}


def _trouble(method: str, url: str, answer: httpx2.Response) -> RunnerError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    code, detail = str(problem.get("code", "")), str(problem.get("detail", answer.reason_phrase))
    message = f"{method} {url}: {answer.status_code} {code}: {detail}"
    if answer.status_code in _MAY_HAVE_BEEN_DONE or code == _IN_PROGRESS:
        return NotAnswered(message, ambiguous=True)
    return Refused(answer.status_code, code, message)
