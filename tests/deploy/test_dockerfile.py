"""The one Dockerfile: what it may hold, what hadolint and checkov say, and that they would say it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, ROOT, SERVICES, steps

Checkers = Callable[..., subprocess.CompletedProcess[str]]

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def problems_of(text: str) -> list[str]:
    """What must not be in it, whoever builds it: an old builder too, without a registry of frontends."""
    told = []
    if re.match(r"#\s*syntax=", text, re.IGNORECASE):
        told.append("a syntax line fetches a builder")
    found = steps(text)
    told += [f"needs a newer builder: {rest}" for name, rest in found if name == "RUN" and "--mount" in rest]
    bases = [rest.split()[0] for name, rest in found if name == "FROM"]
    told += [f"not pinned: {base}" for base in bases if not re.fullmatch(r"[\w./-]+:\d[\w.-]*", base)]
    told += [
        f"a secret: {rest}" for name, rest in found if name in ("ARG", "ENV") and re.search("PASSW|SECRET|TOKEN", rest)
    ]
    users = [rest for name, rest in found if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]):
        told.append("does not run as a fixed number that is not root")
    last = dict(found)
    told += [f"{name} is no list" for name in ("ENTRYPOINT", "CMD") if not last.get(name, "").startswith("[")]
    if (
        "/livez" not in (DEPLOY / "image" / "alive.py").read_text(encoding="utf-8")
        or "alive.py" not in last["HEALTHCHECK"]
    ):
        told.append("the health check does not ask /livez")
    return told


def test_it_holds_nothing_that_it_must_not() -> None:
    assert problems_of(TEXT) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("FROM python:3.11-slim-bookworm AS lock", "FROM python AS lock"),
        ("FROM python:3.11-slim-bookworm AS lock", "FROM python:latest AS lock"),
        ("USER 10001:10001", "USER desk"),
        ("USER 10001:10001", "USER 0:0"),
        ("ARG REVISION=unknown", "ARG REGISTRY_TOKEN"),
        ('CMD ["all"]', "CMD all"),
        ("RUN python -m venv", "RUN --mount=type=cache,target=/c python -m venv"),
    ],
)
def test_what_it_must_not_hold_is_seen(good: str, bad: str) -> None:
    assert good in TEXT
    assert problems_of(TEXT.replace(good, bad)) != []


def test_a_syntax_line_is_seen() -> None:
    assert problems_of(f"# syntax=docker/dockerfile:1\n{TEXT}") != []


def test_hadolint_has_nothing_to_say(checkers: Checkers) -> None:
    done = checkers("hadolint", "deploy/Dockerfile")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_hadolint_sees_a_spoilt_file(checkers: Checkers, tmp_path: Path) -> None:
    spoilt = tmp_path / "Dockerfile"
    spoilt.write_text(TEXT.replace("FROM python:3.11-slim-bookworm AS lock", "FROM python AS lock"), encoding="utf-8")
    done = checkers("hadolint", str(spoilt))
    assert done.returncode == 1
    assert "DL3006" in done.stdout


def test_checkov_has_nothing_to_say(checkers: Checkers) -> None:
    """Of the Dockerfile, and of secrets that somebody left in compose or environment files."""
    arguments = ["--quiet", "--compact", "--skip-download", "--framework", "dockerfile", "secrets"]
    done = checkers("checkov", *arguments, "--directory", "deploy", "--skip-path", "deploy/src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Failed checks: 0" in done.stdout


def test_checkov_sees_a_spoilt_file(checkers: Checkers, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(re.sub("HEALTHCHECK.*\n|USER.*\n", "", TEXT), encoding="utf-8")
    done = checkers(
        "checkov", "--quiet", "--compact", "--skip-download", "--framework", "dockerfile", "--directory", str(tmp_path)
    )
    assert done.returncode == 1
    assert {"CKV_DOCKER_2", "CKV_DOCKER_3"} <= set(re.findall(r"CKV_DOCKER_\d+", done.stdout))


@pytest.mark.parametrize("service", SERVICES)
def test_the_builder_is_sent_every_source_and_nothing_else(service: str) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "first everything is left out"
    assert f"!services/{service}/src" in rules
    let_in = {rule for rule in rules if rule.startswith("!")}
    assert let_in - {f"!services/{each}/src" for each in SERVICES} == {
        "!requirements.lock", "!shared/src", "!deploy/src", "!deploy/image",
    }  # fmt: skip
