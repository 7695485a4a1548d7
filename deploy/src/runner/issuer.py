"""The development issuer: signs tokens for the personas, on this machine only, and never in production."""

import base64
import binascii
import ipaddress
import os
import re
import secrets
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import ECKey

from runner.errors import RunnerError
from runner.installation import Installation
from runner.personas import PERSONAS, persona
from runner.private_files import make_password, make_private_once
from shared import clock
from shared.http.keys import DEVELOPMENT_MARK

AUDIENCE = "psa-desk"
ALGORITHM = "ES256"
TOKEN_SECONDS = 8 * 3600


def issue(state_folder: Path, key: str) -> str:
    """A signed access token of the persona, good for eight hours. Raises RunnerError for an unknown persona."""
    refuse_production()
    return _sign(state_folder, key, Installation.from_environment().issuer_url)


def client_secret(state_folder: Path) -> str:
    """The secret with which `/token` gives tokens out; made at the first use, different in each installation."""
    return make_private_once(state_folder / "issuer" / "secret", make_password)


def refuse_production() -> None:
    """Raise RunnerError in production: whoever can ask this issuer can be anybody."""
    if os.environ.get("DESK_ENV") == "production":
        raise RunnerError("The development issuer does not run with DESK_ENV=production: use the company's own.")


def create_issuer(state_folder: Path, issuer_url: str) -> FastAPI:
    """The issuer as an application: discovery, keys, and tokens by client credentials."""
    refuse_production()
    app = FastAPI(title="PSA Desk development issuer", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/.well-known/openid-configuration")
    def discover() -> JSONResponse:
        return JSONResponse(_configuration(issuer_url))

    @app.get("/jwks.json")
    def show_keys() -> JSONResponse:
        key = _key(state_folder)
        public = key.as_dict(private=False, use="sig", alg=ALGORITHM, kid=key.thumbprint())
        return JSONResponse({"keys": [public]})

    @app.post("/token")
    async def give_token(request: Request) -> JSONResponse:
        return _answer_token(state_folder, issuer_url, await request.body(), request.headers.get("authorization", ""))

    @app.get("/livez")
    @app.get("/readyz")
    def answer_probe() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return app


def _configuration(issuer_url: str) -> dict[str, object]:
    return {
        "issuer": issuer_url,
        DEVELOPMENT_MARK: True,
        "jwks_uri": f"{issuer_url}/jwks.json",
        "token_endpoint": f"{issuer_url}/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
    }


def _answer_token(state_folder: Path, issuer_url: str, body: bytes, authorization: str) -> JSONResponse:
    """RFC 6749, section 4.4: a token for the client that knows the installation's secret."""
    form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", errors="replace")).items()}
    if form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
    client, secret = _credentials(authorization, form)
    known = any(each.key == client for each in PERSONAS)
    if not secrets.compare_digest(secret.encode(), client_secret(state_folder).encode()) or not known:
        return JSONResponse({"error": "invalid_client"}, status_code=401, headers={"WWW-Authenticate": "Basic"})
    token = _sign(state_folder, client, issuer_url)
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _credentials(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, from the Authorization header or from the form."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client, secret


def _key(state_folder: Path) -> ECKey:
    return ECKey.import_key(make_private_once(state_folder / "issuer" / "key.pem", _make_key))


def _make_key() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode("ascii")


def _sign(state_folder: Path, key: str, issuer_url: str) -> str:
    who = persona(key)
    signing = _key(state_folder)
    issued_at = int(clock.now().timestamp())
    header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": signing.thumbprint()}
    claims = {
        "iss": issuer_url,
        "sub": who.user,
        "name": who.name,
        "aud": AUDIENCE,
        "iat": issued_at,
        "exp": issued_at + TOKEN_SECONDS,
        "client_id": who.key,
        "jti": secrets.token_hex(16),
        "roles": who.roles,
    }
    return jwt.encode(header, claims, signing)


def main() -> None:
    """Serve until a signal comes: on the loopback, or under the name that DESK_ISSUER_NAME says.

    The name is for containers, whose own loopback nobody else reaches: it is the issuer's host in their closed network,
    where names have no dots; one that the world could look up is refused.
    """
    installation = Installation.from_environment()
    host, name = os.environ.get("DESK_HOST", "127.0.0.1"), os.environ.get("DESK_ISSUER_NAME")
    if not (name or ipaddress.ip_address(host).is_loopback):
        raise SystemExit(f"The development issuer listens on the loopback only, not on {host}.")
    if name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise SystemExit(f"The development issuer's name is one of a closed network, without a dot, not {name}.")
    port = installation.ports["issuer"]
    try:
        app = create_issuer(installation.state, f"http://{name}:{port}" if name else installation.issuer_url)
    except RunnerError as error:
        raise SystemExit(error.message) from error
    # Whoever starts it finds the secret there at once, not after the first question.
    client_secret(installation.state)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
