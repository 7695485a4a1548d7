"""A desk that something else runs, such as containers: where its APIs are, and who gives tokens there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from runner.errors import RunnerError
from runner.installation import SERVICES, Installation

TOKENS_FROM = "DESK_TOKENS_FROM"
SECRET = "DESK_CLIENT_SECRET"  # noqa: S105  the name of a variable
ANSWER_SECONDS = 10.0


class NoToken(RunnerError):
    """The issuer that the environment names gives no token."""

    code = "no-token"
    title = "The issuer gives no token"


@dataclass(frozen=True)
class Elsewhere:
    """`issuer` is the address of a development issuer, `secret` what it gives tokens for; `apis` service → address."""

    issuer: str
    secret: str
    apis: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Elsewhere | None:
        """What DESK_TOKENS_FROM, DESK_CLIENT_SECRET and DESK_<SERVICE>_URL say; None without the first.

        Raises RunnerError when the secret is missing.
        """
        given = os.environ if environment is None else environment
        issuer = given.get(TOKENS_FROM)
        if not issuer:
            return None
        if not given.get(SECRET):
            raise RunnerError(f"{TOKENS_FROM} names an issuer; {SECRET} must hold its secret.")
        named = {service: given.get(f"DESK_{service.upper()}_URL", "") for service in SERVICES}
        return cls(issuer.rstrip("/"), given[SECRET].strip(), {name: url for name, url in named.items() if url})

    def urls(self, installation: Installation) -> dict[str, str]:
        """Where each API is: as it was named, else on this machine's usual port."""
        return {service: self.apis.get(service) or installation.url_of(service) for service in SERVICES}

    def token_of(self, persona: str) -> str:
        """An access token, by client credentials. Raises NoToken."""
        form = {"grant_type": "client_credentials", "client_id": persona, "client_secret": self.secret}
        try:
            # The issuer of a desk in this house: a proxy of the environment is not on the way to it.
            with httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
                answer = client.post(f"{self.issuer}/token", data=form)
            document = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise NoToken(f"The issuer at {self.issuer} does not answer: {error}") from error
        if not answer.is_success or "access_token" not in document:
            raise NoToken(
                f"The issuer at {self.issuer} gives {persona} no token: {document.get('error', answer.status_code)}"
            )
        return str(document["access_token"])
