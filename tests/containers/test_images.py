"""The images as they were built: what is in them, as whom they run, and what they say of themselves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.containers.engine import VERSION, docker, run
from tests.deploy.files import DEPLOY, ELSEWHERE, SERVICES
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

LOOK = """
import importlib.metadata, json, os, pathlib, sys
own = pathlib.Path("/opt/app")
sources = [path for path in own.rglob("*.py") if path.name != "alive.py"]
print(json.dumps({
    "packages": sorted({one.metadata["Name"].lower().replace("_", "-").replace(".", "-") for one in
                        importlib.metadata.distributions(path=[p for p in sys.path if p.startswith("/opt/desk")])}),
    "members": sorted(path.name for path in own.iterdir() if path.is_dir() and path.name != "__pycache__"),
    "uncompiled": [str(path) for path in sources
                   if not (path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc").exists()],
    "writable": [place for place in ("/", "/opt/app", "/opt/desk", "/etc", "/usr/local") if os.access(place, os.W_OK)],
    "user": [os.getuid(), os.getgid()],
}))
"""


def look(image: str) -> dict[str, Any]:
    """What a process finds in the image."""
    words = ["run", "--rm", "-i", "--read-only", "--network", "none", "--entrypoint", "python", image, "-"]
    found: dict[str, Any] = json.loads(docker(*words, text=LOOK))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_service_its_locked_packages_and_nothing_else(images: dict[str, str], service: str) -> None:
    found = look(images[service])
    listed = set((DEPLOY / "image" / "packages" / f"{service}.txt").read_text(encoding="utf-8").split())
    assert found["members"] == sorted(["shared", service]), "no other service, and not the runner"
    assert set(found["packages"]) <= listed
    assert listed - set(found["packages"]) <= ELSEWHERE
    assert found["uncompiled"] == []
    assert found["writable"] == []
    assert found["user"] == [10001, 10001]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is_and_how_it_is_asked_whether_it_lives(images: dict[str, str], service: str) -> None:
    (described,) = json.loads(docker("image", "inspect", images[service]))
    told = described["Config"]
    assert told["Labels"]["org.opencontainers.image.title"] == f"psa-desk-{service}"
    assert told["Labels"]["org.opencontainers.image.version"] == VERSION
    assert (told["User"], told["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert told["Healthcheck"]["Test"] == ["CMD", "python", "-I", "-S", "/opt/app/alive.py"]
    assert told["Cmd"] == ["all"]


@pytest.mark.parametrize("service", SERVICES)
def test_no_layer_of_an_image_tells_a_secret(images: dict[str, str], service: str) -> None:
    (described,) = json.loads(docker("image", "inspect", images[service]))
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[service])
    assert not re.search(
        r"password|secret|://[^\s/]*:[^\s/]*@", history + json.dumps(described["Config"]), re.IGNORECASE
    )


def test_services_with_equal_packages_share_the_layer_that_holds_them(images: dict[str, str]) -> None:
    layers = [json.loads(docker("image", "inspect", images[service]))[0]["RootFS"]["Layers"] for service in SERVICES]
    # All but the user and the service's own source: the packages are the one before the last.
    assert len({each[-2] for each in layers}) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_the_program_itself_is_the_first_process_and_ends_when_it_is_told(images: dict[str, str], service: str) -> None:
    words = ["run", "--detach", "--read-only", "--network", "none"]
    given = ["--env", "DESK_DATABASE_URL=postgresql://nobody:nothing@127.0.0.1/nowhere"]
    container = docker(*words, *given, images[service], "jobs")
    try:
        # The kernel keeps a signal from a first process that has no handler for it yet.
        alive = ["docker", "exec", container, "python", "-I", "-S", "/opt/app/alive.py"]
        wait_until(lambda: run(*alive, check=False).returncode == 0, 60)
        first = docker("exec", container, "python", "-c", "print(open('/proc/1/cmdline').read().replace(chr(0), ' '))")
        assert re.match(rf"\S*python -m {service} jobs", first)
        docker("kill", "--signal", "TERM", container)
        wait_until(lambda: docker("inspect", "--format", "{{.State.Running}}", container) == "false", 40)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0", "an orderly end, not a kill"
    finally:
        docker("rm", "--force", container)
