"""One installation for trying out, one for production; each is built, started and removed once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.ports import free_port, is_free
from runner.secret_files import make_secrets
from tests.containers.engine import VERSION, Installation, docker, image_of
from tests.containers.login import Login
from tests.deploy.files import DEPLOY, SERVICES

FIGURES: dict[str, float | str] = {}
OUTSIDER = "reports"


# Before pytest chooses by marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs an engine; pytest tells of the items of every folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.containers)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures, for whoever reads the run."""
    if FIGURES:
        terminalreporter.section("containers")
        for name, value in FIGURES.items():
            terminalreporter.write_line(f"{name}: {value if isinstance(value, str) else f'{value:.1f}'}")


@pytest.fixture(scope="session")
def figures() -> dict[str, float | str]:
    """What the summary shows."""
    return FIGURES


@pytest.fixture(scope="session")
def images(figures: dict[str, float | str]) -> dict[str, str]:
    """The images of every service and of the issuer, built from the Dockerfile as it is."""
    made = {}
    for service in (*SERVICES, "runner"):
        began = time.monotonic()
        member = ["--build-arg", "MEMBER=deploy"] if service == "runner" else []
        words = ["build", "-f", "deploy/Dockerfile", "--build-arg", f"SERVICE={service}", *member]
        docker(*words, "--build-arg", f"VERSION={VERSION}", "-t", image_of(service), ".")
        made[service] = image_of(service)
        size = int(docker("image", "inspect", "--format", "{{.Size}}", made[service])) / 1e6
        base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.11-slim-bookworm")) / 1e6
        figures[f"image of {service}"] = (
            f"{time.monotonic() - began:.1f} s, {size:.0f} MB, of which {size - base:.0f} MB above its base"
        )
    return made


def free_block(length: int) -> int:
    """The first of several free ports in a row."""
    while True:
        first = free_port()
        if all(is_free(first + offset) for offset in range(length)):
            return first


@pytest.fixture(scope="module")
def trial(
    images: dict[str, str], tmp_path_factory: pytest.TempPathFactory, figures: dict[str, float | str]
) -> Iterator[Installation]:
    """The installation of compose.yaml with --profile demo; all its processes are well."""
    secrets = tmp_path_factory.mktemp("trial") / "secrets"
    make_secrets(secrets)
    variables = {
        "DESK_SECRETS": str(secrets),
        "DESK_ISSUER_PORT": str(free_port()),
        **{f"DESK_{service.upper()}_PORTS": f"{(port := free_block(4))}-{port + 3}" for service in SERVICES},
    }
    made = Installation("deskverify", [DEPLOY / "compose.yaml"], variables, profiles=["demo"])
    yield from _run(made, "compose.yaml", figures)


@pytest.fixture(scope="session")
def login(tmp_path_factory: pytest.TempPathFactory) -> Login:
    """The company's OpenID Connect issuer, by https: a stand-in for whatever the company has."""
    return Login(tmp_path_factory.mktemp("login"))


@pytest.fixture(scope="module")
def production(
    images: dict[str, str],
    login: Login,
    tmp_path_factory: pytest.TempPathFactory,
    figures: dict[str, float | str],
) -> Iterator[Installation]:
    """The installation of the production overlay: three brokers with TLS, SCRAM and rights; and one outsider."""
    folder = tmp_path_factory.mktemp("production")
    secrets = folder / "secrets"
    make_secrets(secrets, [OUTSIDER])
    variables = {
        "DESK_SECRETS": str(secrets),
        "DESK_OIDC_ISSUER": login.issuer,
        "DESK_PUBLIC_URL": "https://devlink.desk.example",
        **{f"DESK_{service.upper()}_PORTS": str(free_port()) for service in SERVICES},
    }
    files = [DEPLOY / "compose.yaml", DEPLOY / "compose.production.yaml", login.overlay(folder, secrets, OUTSIDER)]
    yield from _run(Installation("deskproduction", files, variables), "production overlay", figures)


def _run(made: Installation, name: str, figures: dict[str, float | str]) -> Iterator[Installation]:
    made.down()
    try:
        made.compose("config", "--quiet")
        made.up()
        for what, value in made.figures.items():
            figures[f"{name}: {what}"] = value
        yield made
    finally:
        made.down()


def secrets_of(installation: Installation) -> Path:
    """The folder of secrets of an installation."""
    return Path(installation.variables["DESK_SECRETS"])
