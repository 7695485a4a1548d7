"""What the doctor looks at on this machine: Python, packages, disk, the state folder, secrets, ports, caches."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pwd
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psutil

from runner import ports
from runner.disk import ADVICE, least_room, nearest, rooms
from runner.doctor.findings import Finding, ok, problem, warning
from runner.doctor.patient import Patient
from runner.installation import CHECKOUT
from runner.jars import kafka_version, read_lock
from shared import clock

OLDEST_PYTHON = (3, 11)
SMALL_FREE_BYTES = 2 * 2**30
SKEW_SECONDS = 1.0
REGISTRY_SECONDS = 5.0
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)


def check_python(_: Patient) -> Iterator[Finding]:
    """The interpreter, and whether it has the packages of the lock."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield problem("python", f"{version} is too old", "install Python 3.11 or newer and say `make install`")
    else:
        yield ok("python", f"{version} at {sys.executable}")
    # A line with a condition may be meant for another system.
    pinned = dict(_PINNED.findall((CHECKOUT / "requirements.lock").read_text(encoding="utf-8")))
    other = [
        f"{name} {_installed(name) or 'missing'} instead of {wanted}"
        for name, wanted in pinned.items()
        if _installed(name) != wanted
    ]
    if other:
        yield problem("packages", f"{len(other)} are not those of the lock: {_few(other)}", "say `make install`")
    else:
        yield ok("packages", f"{len(pinned)} as the lock pins them")


def check_disk(patient: Patient, least: int | None = None, small: int = SMALL_FREE_BYTES) -> Iterator[Finding]:
    """Free space and free files where the installation writes, as a start asks for it. `least`, `small` in bytes."""
    least_bytes, least_files = least_room(patient.installation)
    for room in rooms(patient.installation):
        if lack := room.lack(least_bytes if least is None else least, least_files):
            yield problem("disk", lack, ADVICE)
        elif room.free_bytes < small:
            yield warning("disk", room.says, ADVICE)
        else:
            yield ok("disk", room.says)


def check_state_folder(patient: Patient) -> Iterator[Finding]:
    """Whether this user owns the state folder and can write there, and whether the file system's clock is ours."""
    state, me = patient.installation.state, os.getuid()
    if not state.exists():
        above = nearest(state)
        if above.is_dir() and os.access(above, os.W_OK):
            yield ok("state folder", f"{state} is made by the first `desk up`")
        else:
            yield problem("state folder", f"{state} cannot be made in {above}", "name another folder with DESK_STATE")
        return
    owner, mode = state.stat().st_uid, state.stat().st_mode
    try:
        with tempfile.NamedTemporaryFile(dir=state, prefix=".doctor-") as probe:
            before = clock.now()
            probe.write(b"doctor")
            probe.flush()
            written = datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC)
    except OSError as error:
        yield problem(
            "state folder",
            f"{state} cannot be written: {error.strerror}",
            f"mend that, or name another folder with DESK_STATE (it belongs to {_user(owner)})",
        )
        return
    if owner != me:
        yield problem(
            "state folder",
            f"{state} belongs to {_user(owner)}, not to {_user(me)}",
            f"work as {_user(owner)}, or name another folder with DESK_STATE",
        )
    elif mode & 0o002:
        yield problem("state folder", f"everybody may write to {state}", f"say `chmod o-w {state}`")
    else:
        yield ok("state folder", f"{state} can be written and belongs to {_user(owner)}")
    yield clock_finding("clock: files", (written - before).total_seconds(), f"the clock of {state}'s file system")


def check_secrets(patient: Patient) -> Iterator[Finding]:
    """Passwords and keys: readable by their owner only."""
    state = patient.installation.state
    places = [state / "passwords", state / "issuer", state / "postgres" / "password"]
    secrets = [file for place in places for file in ([place] if place.is_file() else place.glob("*")) if file.is_file()]
    open_ones = [file for file in secrets if file.stat().st_mode & 0o077 or file.stat().st_uid != os.getuid()]
    if open_ones:
        names = " ".join(str(file) for file in open_ones)
        yield problem(
            "secrets",
            f"others can read {_few([str(file) for file in open_ones])}",
            f"say `chmod 600 {names}`; whoever had access may know them: `make reset` makes new ones",
        )
    else:
        yield ok("secrets", f"{len(secrets)} files, readable by their owner only" if secrets else "none made yet")


def check_ports(patient: Patient) -> Iterator[Finding]:
    """Every port is free, or held by this installation itself."""
    taken = {name: port for name, port in patient.installation.ports.items() if not ports.is_free(port)}
    holders = _listeners() if taken else {}
    foreign = {name: port for name, port in taken.items() if holders.get(port) not in patient.own_pids}
    for name, port in foreign.items():
        yield problem(
            f"port {port}",
            f"wanted for {name}, is held by {ports.holder_of(port)}",
            "end that, or move all ports of this installation with DESK_PORT_BASE",
        )
    if not foreign:
        wanted = patient.installation.ports.values()
        yield ok("ports", f"{min(wanted)} to {max(wanted)}: {len(taken)} held by this installation, the others free")


def check_caches(patient: Patient) -> Iterator[Finding]:
    """Kafka's jars against the lock, the broker's start-up cache, and where missing jars would come from."""
    if patient.installation.kafka_bootstrap:
        yield ok("jars", "not needed: a broker was given by address")
        return
    cache = patient.installation.cache
    missing, differing = _look_at_jars(cache)
    if differing:
        yield problem(
            "jars",
            f"not the ones of the lock: {_few(differing)}",
            f"remove {cache}, and if it happens again do not run them",
        )
    elif not missing:
        yield ok("jars", f"{len(read_lock())} of Apache Kafka {kafka_version()} match the lock")
    else:
        yield warning("jars", f"{len(missing)} of {len(read_lock())} are not there yet", "`desk up` fetches them")
    made = any((cache / "kafka").glob("startup-*.aot"))
    yield ok(
        "start-up cache", "present" if made else "made by the first `desk down`; until then the broker starts slower"
    )
    yield _check_registry(needed=bool(missing or differing))


def clock_finding(check: str, ahead_seconds: float, of: str, tolerated_seconds: float = SKEW_SECONDS) -> Finding:
    """A clock that is ahead of this machine's by so many seconds (negative: behind)."""
    if abs(ahead_seconds) <= tolerated_seconds:
        return ok(check, f"{of} agrees with this machine's")
    which = "ahead of" if ahead_seconds > 0 else "behind"
    return warning(
        check,
        f"{of} is {abs(ahead_seconds):.1f} s {which} this machine's",
        "let both follow the same time server (NTP): what is dated by two clocks looks out of order",
    )


def _check_registry(*, needed: bool) -> Finding:
    """Asks the repository that the Maven resolver asks, as it would; any answer will do."""
    from jgo.constants import MAVEN_CENTRAL_URL

    trusted = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE") or None)
    try:
        httpx2.head(f"{MAVEN_CENTRAL_URL}/", timeout=REGISTRY_SECONDS, verify=trusted)
    except (httpx2.HTTPError, OSError) as error:
        says = f"{MAVEN_CENTRAL_URL} does not answer ({type(error).__name__})"
        if needed:
            return problem("registry", f"{says}, and jars are missing", "connect, or set HTTPS_PROXY, and say it again")
        return warning("registry", says, "nothing now: everything that comes from there is in the cache")
    return ok("registry", f"{MAVEN_CENTRAL_URL} answers; the index of Python packages was not asked")


def _look_at_jars(cache: Path) -> tuple[list[str], list[str]]:
    """The jars of the lock that are missing, and those that are there and differ."""
    missing, differing = [], []
    for jar in read_lock():
        found = list((cache / "kafka").glob(f"*/environment/*/{jar.file}"))
        if not found:
            missing.append(jar.file)
        elif jar.sha256 not in {_digest(path) for path in found}:
            differing.append(jar.file)
    return missing, differing


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listeners() -> dict[int, int]:
    """Which pid listens on each port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return {}
    return {each.laddr.port: each.pid for each in connections if each.status == psutil.CONN_LISTEN and each.pid}


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
