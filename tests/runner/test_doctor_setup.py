"""`desk doctor --setup`: what tickets says that day one lacks, in words, asked as the admin."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from rich.console import Console

from runner import doctor
from runner.doctor.setup import examine
from runner.installation import Installation

LACKS = {
    "complete": False,
    "lacks": [
        {
            "kind": "team-without-members", "says": "nobody who is active is in Analistas",
            "action": "name the members with PUT /v1/teams/{id}", "count": 1,
            "subjects": [{"id": "analistas", "name": "Analistas"}],
        }
    ],
}  # fmt: skip


class Service:
    """A tickets service that gives one answer, and keeps the token with which it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any] = (200, LACKS)
        self.asked: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append((self.path, self.headers["authorization"]))
                status, body = service.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def tickets() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever)
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()


@pytest.fixture
def installation(tmp_path: Path, tickets: Service, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("DESK_STATE", str(tmp_path))
    made = Installation.from_environment()
    ahead = made.ports["tickets"] - made.port_base
    return replace(made, port_base=tickets.server.server_port - ahead)


def said(installation: Installation, *, as_json: bool = False) -> tuple[int, str]:
    """The exit code and what is printed."""
    output = io.StringIO()
    console = Console(file=output, width=200)
    return doctor.main(installation, console, as_json=as_json, about_setup=True), output.getvalue()


def test_what_is_missing_is_said_in_words_with_what_to_do(installation: Installation, tickets: Service) -> None:
    code, text = said(installation)
    assert code == 0
    assert "team-without-members  nobody who is active is in Analistas → name the members with PUT /v1" in text
    assert "1 warning" in text
    ((path, authorization),) = tickets.asked
    key = ECKey.import_key((installation.state / "issuer" / "key.pem").read_text())
    claims = jwt.decode(authorization.removeprefix("Bearer "), key, algorithms=["ES256"]).claims
    assert (path, claims["roles"], claims["name"]) == ("/v1/setup", ["admin"], "Natalia Quiroga")


def test_where_nothing_is_missing_that_is_said(installation: Installation, tickets: Service) -> None:
    tickets.answer = (200, {"complete": True, "lacks": []})
    assert [(one.state, one.check) for one in examine(installation)] == [("ok", "setup")]


@pytest.mark.parametrize("answer", [(503, {"detail": "the database is away"}), (200, [])])
def test_a_service_that_cannot_say_is_a_problem(installation: Installation, tickets: Service, answer: Any) -> None:
    tickets.answer = answer
    code, text = said(installation)
    assert code == 1
    assert "see `desk logs tickets`" in text


def test_nothing_is_asked_with_a_token_that_somebody_else_would_have_to_sign(
    installation: Installation, tickets: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_OIDC_ISSUER", "https://login.example")
    (finding,) = examine(Installation.from_environment())
    assert finding.state == "problem"
    assert "GET /v1/setup" in finding.action
    assert tickets.asked == []
