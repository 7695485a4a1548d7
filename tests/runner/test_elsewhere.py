"""A demo against a desk that something else runs: its addresses, and tokens from its issuer."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from runner.demo.elsewhere import Elsewhere, NoToken
from runner.errors import RunnerError
from runner.installation import Installation, command
from runner.issuer import client_secret
from runner.ports import free_port
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The issuer as a container runs it: on every address, under a name; where it is and its secret."""
    state, port = tmp_path_factory.mktemp("issuer"), free_port()
    environment = {
        "DESK_STATE": str(state),
        "DESK_PORT_BASE": str(port - 90),
        "DESK_HOST": "0.0.0.0",
        "DESK_ISSUER_NAME": "issuer",
    }
    running = subprocess.Popen(command("runner.issuer"), env=environment)
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield f"http://127.0.0.1:{port}", client_secret(state)
    finally:
        running.terminate()
        running.wait()


def test_a_token_comes_from_the_issuer_that_the_environment_names(issuer: tuple[str, str]) -> None:
    address, secret = issuer
    given = Elsewhere.from_environment({"DESK_TOKENS_FROM": f"{address}/", "DESK_CLIENT_SECRET": f"{secret}\n"})
    assert given is not None
    assert given.token_of("agent").count(".") == 2


def test_under_a_name_the_issuer_is_that_name_to_everybody(issuer: tuple[str, str]) -> None:
    address, _ = issuer
    told = httpx2.get(f"{address}/.well-known/openid-configuration", trust_env=False).json()
    assert told["issuer"] == f"http://issuer:{address.rpartition(':')[2]}"
    assert told["jwks_uri"].startswith(told["issuer"])


def test_a_wrong_secret_and_a_silent_issuer_are_told(issuer: tuple[str, str]) -> None:
    address, _ = issuer
    with pytest.raises(NoToken, match="invalid_client"):
        Elsewhere(address, "wrong", {}).token_of("agent")
    with pytest.raises(NoToken, match="does not answer"):
        Elsewhere(f"http://127.0.0.1:{free_port()}", "any", {}).token_of("agent")


def test_without_a_name_it_is_this_machine_and_without_a_secret_it_is_refused() -> None:
    assert Elsewhere.from_environment({}) is None
    with pytest.raises(RunnerError, match="DESK_CLIENT_SECRET"):
        Elsewhere.from_environment({"DESK_TOKENS_FROM": "http://127.0.0.1:8490"})


def test_an_api_is_where_it_was_named_else_on_its_usual_port(tmp_path: Path) -> None:
    environment = {"DESK_TOKENS_FROM": "x", "DESK_CLIENT_SECRET": "y", "DESK_SLA_URL": "https://sla.example"}
    given = Elsewhere.from_environment(environment)
    assert given is not None
    urls = given.urls(Installation(tmp_path, port_base=9400))
    assert urls["sla"] == "https://sla.example"
    assert urls["tickets"] == "http://127.0.0.1:9410"
