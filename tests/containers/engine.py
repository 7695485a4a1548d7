"""The Docker engine of this machine and its compose, whichever of the two there is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.files import PARTS, ROOT, SERVICES
from tests.support.waiting import wait_until

HEALTHY_WITHIN_SECONDS = 240
# The tag of the images that are built here, so that nobody's own are replaced.
VERSION = "verify"


def run(
    *words: str, within: float = 900, text: str | None = None, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """A command to its end. Raises AssertionError with all that it said when it fails."""
    done = subprocess.run(
        words,
        cwd=ROOT,
        input=text,
        env=dict(env) if env else None,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done


def docker(*words: str, text: str | None = None, check: bool = True) -> str:
    """The output of a docker command."""
    return run("docker", *words, text=text, check=check).stdout.strip()


def compose_command() -> list[str] | None:
    """`docker-compose` or `docker compose`; None when there is neither."""
    for words in (["docker-compose"], ["docker", "compose"]):
        try:
            if subprocess.run([*words, "version"], capture_output=True, timeout=30, check=False).returncode == 0:
                return words
        except OSError:
            continue
    return None


def engine_version() -> str | None:
    """The version of the engine that answers; None when none does."""
    try:
        words = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


def inspect(container: str) -> dict[str, Any]:
    """Everything that the engine knows of a container."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


def crash(container: str) -> None:
    """kill -9 from outside, unasked: what `docker kill` does counts as wanted, and nobody starts it again."""
    pid = str(inspect(container)["State"]["Pid"])
    words = ["run", "--rm", "--pid", "host", "--user", "0", "--network", "none", "--no-healthcheck"]
    docker(*words, "--entrypoint", "sh", image_of("tickets"), "-c", f"kill -9 {pid}")


def image_of(service: str) -> str:
    """The image that the compose file builds for a service."""
    return f"psa-desk-{service}:{VERSION}"


@dataclass
class Installation:
    """One project of compose: its files, and what they interpolate."""

    project: str
    files: Sequence[Path]
    variables: Mapping[str, str]
    profiles: Sequence[str] = ()
    figures: dict[str, float] = field(default_factory=dict)

    def compose(self, *words: str, check: bool = True) -> str:
        """The output of a compose command."""
        command = compose_command() or []
        files = [word for file in self.files for word in ("-f", str(file))]
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        env = {**os.environ, **self.variables, "DESK_VERSION": VERSION}
        done = run(*command, *files, "-p", self.project, *profiles, *words, env=env, check=False)
        assert not check or done.returncode == 0, self._told(done.stdout + done.stderr)
        return done.stdout.strip()

    def _told(self, output: str) -> str:
        """What went wrong, with the last lines of every container that failed."""
        told = [output[-4000:]]
        failed = [one for one in self.containers() if inspect(one)["State"]["ExitCode"] != 0]
        told += [f"--- {self.name_of(container)}\n{logs(container)}" for container in failed]
        return "\n".join(told)

    def containers(self) -> list[str]:
        """The ids of all its containers, ended ones too."""
        return docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}").split()

    def name_of(self, container: str) -> str:
        """The name of a container's service."""
        return str(inspect(container)["Config"]["Labels"]["com.docker.compose.service"])

    def of(self, service: str) -> list[str]:
        """The ids of a service's running containers, the first one first."""
        label = ["--filter", f"label=com.docker.compose.project={self.project}"]
        found = docker("ps", "--quiet", *label, "--filter", f"label=com.docker.compose.service={service}").split()
        return sorted(
            found, key=lambda each: int(inspect(each)["Config"]["Labels"]["com.docker.compose.container-number"])
        )

    def one(self, service: str) -> str:
        """The id of a service's first container."""
        found = self.of(service)
        assert found, f"{service} does not run"
        return found[0]

    def address(self, service: str, copy: int = 0, port: int = 8000) -> str:
        """Where an api answers on this machine."""
        published = docker("port", self.of(service)[copy], str(port)).splitlines()[0]
        return f"http://127.0.0.1:{published.rpartition(':')[2]}"

    def up(self, *words: str) -> None:
        """Starts everything and waits until all is well."""
        began = time.monotonic()
        self.compose("up", "--detach", *words)
        self.figures["up, seconds"] = time.monotonic() - began
        self.wait_until_well()
        self.figures["up and all well, seconds"] = time.monotonic() - began

    def wait_until_well(self) -> None:
        """Until every process runs, is healthy and says that it is ready."""
        for service in SERVICES:
            for part in PARTS:
                for container in self.of(f"{service}-{part}"):
                    wait_until_ready(container)

    def ask(self, service: str, query: str) -> list[dict[str, Any]]:
        """What a query answers on a service's database, asked inside the server's container; values as in JSON."""
        whole = f"SELECT row_to_json(answer) FROM ({query}) answer"
        words = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", f"desk_{service}", "-AtX", "-c", whole]
        login = 'PGPASSWORD=$(cat /run/secrets/postgres_password) exec "$@"'
        answer = docker("exec", self.one("postgres"), "sh", "-c", login, "sh", *words)
        return [json.loads(line) for line in answer.splitlines()]

    async def rows(self, service: str, query: str) -> list[dict[str, Any]]:
        """The same, for callers with an event loop."""
        return await asyncio.to_thread(self.ask, service, query)

    def down(self) -> None:
        """Removes containers, networks and volumes."""
        self.compose("down", "--volumes", "--remove-orphans")


def logs(container: str, lines: int = 30) -> str:
    """The last lines of a container, from both outputs."""
    done = run("docker", "logs", "--tail", str(lines), container, check=False)
    return (done.stdout + done.stderr)[-4000:]


READY = """
import sys, urllib.request
try:
    sys.exit(urllib.request.urlopen("http://127.0.0.1:8000/readyz", timeout=5).status != 200)
except Exception as error:
    sys.exit(f"{error} {error.read()[:400] if hasattr(error, 'read') else ''}")
"""


def wait_until_ready(container: str) -> None:
    """Until the container is healthy and its process says that it is ready. Shows its last lines otherwise."""

    def well() -> bool:
        state = inspect(container)["State"]
        healthy = state["Running"] and state.get("Health", {}).get("Status") == "healthy"
        return (
            bool(healthy)
            and run("docker", "exec", "-i", container, "python", "-", text=READY, check=False).returncode == 0
        )

    _or_logs(well, container)


def _or_logs(question: Callable[[], bool], container: str) -> None:
    try:
        wait_until(question, HEALTHY_WITHIN_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{inspect(container)['Name']} is not well:\n{logs(container)}") from error
