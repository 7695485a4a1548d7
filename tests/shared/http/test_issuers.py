"""Issuers of others: any OpenID Connect provider will do, and the development issuer is nobody's in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import oidc_provider_mock
import pytest

from runner.issuer import create_issuer, issue
from shared.errors import Unauthenticated, Unavailable
from shared.http.tokens import Authenticator
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app

# It says of itself what its next version will do otherwise.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

REDIRECT = "http://localhost/called-back"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider that was written by somebody else, and a person that it knows."""
    with oidc_provider_mock.run_server_in_thread() as server:
        url = f"http://localhost:{server.server_port}"
        person = {"name": "Ana Gómez", "roles": ["agent"]}
        httpx2.put(f"{url}/users/ana", json=person).raise_for_status()
        yield url


def signed_in(provider: str, client_id: str) -> str:
    """The identity token of the authorization code flow; its audience is the client that asks."""
    query = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid profile"}
    sent_back = httpx2.post(f"{provider}/oauth2/authorize", params=query, data={"sub": "ana"})
    (code,) = parse_qs(urlsplit(sent_back.headers["location"]).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    answer = httpx2.post(f"{provider}/oauth2/token", data=form, auth=(client_id, "secret"))
    return str(answer.raise_for_status().json()["id_token"])


@pytest.mark.parametrize("ending", ["", "/"])
async def test_a_token_of_any_provider_names_its_actor(provider: str, ending: str) -> None:
    async with client_of(sample_app(provider + ending), signed_in(provider, "psa-desk")) as client:
        answer = await client.get("/v1/me")
    assert (answer.status_code, answer.json()) == (200, {"id": "ana", "name": "Ana Gómez", "roles": ["agent"]})


async def test_a_token_of_the_same_provider_for_another_application_is_refused(provider: str) -> None:
    async with client_of(sample_app(provider), signed_in(provider, "somebody-else")) as client:
        answer = await client.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "another audience" in answer.json()["detail"]


async def test_a_token_of_one_provider_is_not_good_with_another(provider: str, issuer: LocalIssuer) -> None:
    with pytest.raises(Unauthenticated, match="not signed by a key of the issuer"):
        await Authenticator(issuer.url).authenticate(f"Bearer {signed_in(provider, 'psa-desk')}".encode())


# The development issuer


@pytest.fixture
def behind_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The development issuer as if it were reached by https under a name of the company."""
    monkeypatch.setenv("DESK_ENV", "development")

    def serve(url: str) -> None:
        monkeypatch.setenv("DESK_OIDC_ISSUER", url)
        transport: Any = httpx2.ASGITransport(app=create_issuer(tmp_path, url))
        monkeypatch.setattr("shared.http.keys.httpx2.AsyncClient", partial(httpx2.AsyncClient, transport=transport))

    return serve


async def test_production_refuses_the_tokens_of_the_development_issuer_under_any_name(
    behind_a_proxy: Callable[[str], None], tmp_path: Path
) -> None:
    url = "https://login.example.com"
    behind_a_proxy(url)
    authorization = f"Bearer {issue(tmp_path, 'admin')}".encode()
    # The same token under the same name is good in development, so it is the mark that production refuses.
    assert (await Authenticator(url).authenticate(authorization)).roles == {"admin"}
    with pytest.raises(Unavailable):
        await Authenticator(url, env="production").authenticate(authorization)
