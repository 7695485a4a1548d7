"""`make verify-containers`: looks for an engine, says how to get one where there is none, and runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.containers.engine import compose_command, engine_version

NONE = """There is no Docker engine to run this on, so nothing was verified.
Any engine will do, with docker-compose 1.29, with which this was run, or `docker compose`. On Debian:
  apt-get install docker.io docker-compose
  systemctl start docker
It must have, or be able to fetch, the images python:3.11-slim-bookworm, postgres:18 and apache/kafka:4.3.1.
Where it listens is said by DOCKER_HOST, as for the docker command."""


def main(arguments: list[str]) -> int:
    """0 when everything held."""
    version, compose = engine_version(), compose_command()
    if version is None or compose is None:
        print(NONE if version is None else f"{NONE}\nThe engine {version} answers, but there is no compose.")
        return 1
    print(f"Docker engine {version}, {' '.join(compose)}", flush=True)
    # Nothing is pulled for a test, so neither is the image that removes containers after a crash.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    words = ["-m", "pytest", "-m", "containers", "-x", *[f"tests/containers/{one}" for one in arguments or [""]]]
    return subprocess.run([sys.executable, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
