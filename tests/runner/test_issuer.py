"""The development issuer: real tokens, this machine only, never in production."""

from __future__ import annotations

import os
import stat
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

from runner.errors import RunnerError
from runner.installation import command
from runner.issuer import client_secret, create_issuer, issue
from runner.personas import PERSONAS
from shared import clock
from shared.http.permissions import ROLES

URL = "http://127.0.0.1:8490"
# A name that anybody could look up, instead of one of a closed network.
EVERYWHERE = {"DESK_HOST": "0.0.0.0", "DESK_ISSUER_NAME": "login.example.com"}


@pytest.fixture(autouse=True)
def _the_default_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DESK_OIDC_ISSUER", "DESK_PORT_BASE", "DESK_ENV"):
        monkeypatch.delenv(name, raising=False)


def _client(state: Path) -> TestClient:
    return TestClient(create_issuer(state, URL))


def _keys(client: TestClient) -> KeySet:
    assert client.get("/.well-known/openid-configuration").json()["jwks_uri"] == f"{URL}/jwks.json"
    return KeySet.import_key_set(client.get("/jwks.json").json())


def _ask(client: TestClient, secret: str, name: str = "agent", grant: str = "client_credentials") -> tuple[int, str]:
    answer = client.post("/token", data={"grant_type": grant, "client_id": name, "client_secret": secret})
    return answer.status_code, answer.json().get("access_token") or answer.json()["error"]


def test_a_token_of_the_command_line_verifies_against_the_published_keys(tmp_path: Path) -> None:
    token = jwt.decode(issue(tmp_path, "agent"), _keys(_client(tmp_path)), algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    now = clock.now().timestamp()
    assert (token.claims["iss"], token.claims["aud"], token.claims["sub"]) == (URL, "psa-desk", "lucia.gomez")
    assert (token.claims["name"], token.claims["roles"]) == ("Lucía Gómez", ["agent"])
    assert token.claims["exp"] - token.claims["iat"] == 8 * 3600
    assert abs(token.claims["iat"] - now) < 60


def test_the_token_endpoint_gives_each_persona_a_token_for_the_secret_of_the_installation(tmp_path: Path) -> None:
    client = _client(tmp_path)
    for persona in PERSONAS:
        status, token = _ask(client, client_secret(tmp_path), persona.key)
        assert status == 200
        assert jwt.decode(token, _keys(client), algorithms=["ES256"]).claims["sub"] == persona.user


def test_basic_authentication_is_taken_too(tmp_path: Path) -> None:
    basic = b64encode(f"billing:{client_secret(tmp_path)}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    answer = _client(tmp_path).post("/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("secret", ["", "wrong", "ñ"])
def test_a_wrong_secret_gets_no_token(tmp_path: Path, secret: str) -> None:
    assert _ask(_client(tmp_path), secret) == (401, "invalid_client")


def test_a_stranger_and_another_grant_get_no_token(tmp_path: Path) -> None:
    secret = client_secret(tmp_path)
    assert _ask(_client(tmp_path), secret, name="root") == (401, "invalid_client")
    assert _ask(_client(tmp_path), secret, grant="password") == (400, "unsupported_grant_type")
    with pytest.raises(RunnerError, match="agent, analyst"):
        issue(tmp_path, "root")


def test_each_installation_has_a_key_of_its_own_that_only_its_owner_can_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidKeyIdError):
        jwt.decode(issue(tmp_path / "one", "agent"), _keys(_client(tmp_path / "two")), algorithms=["ES256"])
    for path in (tmp_path / "one" / "issuer").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private = {"d", "p", "q"}
    assert all(not private & set(key) for key in _client(tmp_path / "one").get("/jwks.json").json()["keys"])


def test_the_key_stays_the_same_for_the_next_process(tmp_path: Path) -> None:
    token = issue(tmp_path, "agent")
    assert jwt.decode(token, _keys(_client(tmp_path)), algorithms=["ES256"]).claims["sub"] == "lucia.gomez"


def test_there_is_somebody_for_every_role() -> None:
    assert [persona.roles for persona in PERSONAS] == [[role] for role in ROLES]


def test_in_production_there_is_neither_issuer_nor_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_ENV", "production")
    with pytest.raises(RunnerError, match="production"):
        issue(tmp_path, "agent")
    with pytest.raises(RunnerError, match="production"):
        create_issuer(tmp_path, URL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"DESK_ENV": "production"}, "production"), ({"DESK_HOST": "0.0.0.0"}, "loopback"), (EVERYWHERE, "without a dot")],
)
def test_the_process_refuses_production_and_other_addresses(tmp_path: Path, setting: dict[str, str], said: str) -> None:
    environment = {**os.environ, "DESK_STATE": str(tmp_path), **setting}
    done = subprocess.run(command("runner.issuer"), env=environment, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert said in done.stderr.decode()
