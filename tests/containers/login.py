"""A stand-in for the company's OpenID Connect issuer: its two documents by https, and tokens that the tests sign."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import yaml
from joserfc import jwt
from joserfc.jwk import ECKey

from runner import secret_files
from runner.personas import persona
from shared import clock
from tests.containers.engine import image_of
from tests.deploy.files import SERVICES

HOST = "login.desk.example"
PORT = 8443
HOUR = 3600
SERVE = f"""
import functools, http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/login/tls.pem")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/login/www")
server = http.server.ThreadingHTTPServer(("0.0.0.0", {PORT}), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class Login:
    """Files that a plain web server serves; the signing key stays with the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = f"https://{HOST}:{PORT}"
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
        public = self._key.as_dict(private=False, kid=self._key.thumbprint())
        known = folder / "www" / ".well-known"
        known.mkdir(parents=True)
        document = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks.json"}
        (known / "openid-configuration").write_text(json.dumps(document), encoding="utf-8")
        (folder / "www" / "jwks.json").write_text(json.dumps({"keys": [public]}), encoding="utf-8")
        authority = secret_files._make_key()
        (folder / "ca.pem").write_text(secret_files._sign("login", authority, authority, None), encoding="utf-8")
        key = secret_files._make_key()
        signed = secret_files._sign(HOST, key, authority, (folder / "ca.pem").read_text(encoding="utf-8"), [HOST])
        (folder / "tls.pem").write_text(key + signed, encoding="utf-8")
        (folder / "serve.py").write_text(SERVE, encoding="utf-8")
        # The containers' users are others than ours.
        for path in (*folder.rglob("*"), folder, *list(folder.parents)[:2]):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def token(self, key: str) -> str:
        """An access token of a persona."""
        who, now = persona(key), int(clock.now().timestamp())
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self._key.thumbprint()}
        claims = {
            "iss": self.issuer, "sub": who.user, "name": who.name, "aud": "psa-desk", "iat": now, "exp": now + HOUR,
            "client_id": who.key, "jti": secrets.token_hex(8), "roles": who.roles,
        }  # fmt: skip
        return jwt.encode(header, claims, self._key)

    def overlay(self, folder: Path, secret_folder: Path, outsider: str) -> Path:
        """A compose file that adds this issuer, lets the services trust its certificate, and admits one outsider."""
        password = f"{outsider}_kafka_password"
        trusting: dict[str, Any] = {
            f"{service}-api": {
                "environment": {"SSL_CERT_FILE": "/login/ca.pem"},
                "volumes": [f"{self.folder}:/login:ro"],
            }
            for service in SERVICES
        }
        document = {
            "services": {
                "login": {
                    "image": image_of("tickets"),
                    "entrypoint": ["python", "/login/serve.py"],
                    "healthcheck": {"disable": True},
                    "volumes": [f"{self.folder}:/login:ro"],
                    "networks": {"edge": {"aliases": [HOST]}},
                },
                "access": {"environment": {"DESK_KAFKA_OUTSIDERS": outsider}, "secrets": [password]},
                **trusting,
            },
            "secrets": {password: {"file": str(secret_folder / password)}},
        }
        path = folder / "overlay.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path
