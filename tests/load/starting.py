"""How long a newcomer waits: `make up` in a fresh clone, with nothing in any cache and then with everything there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.load.figures import Table
from tests.load.scene import Options, Scene
from tests.support.databases import CHECKOUT
from tests.support.installations import free_base

# Where the caches of pip, uv and the jars would be found although the home is another.
_CACHES = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR")
# What `make up` starts itself when nobody names a server of his own.
_SERVERS = ("postgres", "kafka")


def measure_up(scene: Scene, _options: Options) -> list[Table]:
    """Seconds of each `make up`, from the call to its end, when everything answers."""
    clone, home = scene.folder / "clone", scene.folder / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    environment = _newcomer(home)
    table = Table(
        "up: seconds of `make up` in a clone of the last commit",
        ("when", "seconds"),
        notes=["cold: an empty home, so every package and jar is downloaded; that part is the network's"],
    )
    try:
        for when in ("cold", "again, while it runs"):
            table.rows.append((when, _make("up", clone, environment)))
            _require_servers(clone)
        _make("down", clone, environment)
        table.rows.append(("warm, after make down", _make("up", clone, environment)))
        _make("reset", clone, environment)
        table.rows.append(("warm, after make reset", _make("up", clone, environment)))
    finally:
        _make("reset", clone, environment)
        shutil.rmtree(clone, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    return [table]


def _newcomer(home: Path) -> dict[str, str]:
    """The environment of somebody who has set nothing: this session's own servers are told to its processes by name."""
    kept = {name: value for name, value in os.environ.items() if name not in _CACHES and not name.startswith("DESK_")}
    return {**kept, "HOME": str(home), "DESK_PORT_BASE": str(free_base())}


def _require_servers(clone: Path) -> None:
    """Without its own PostgreSQL and Kafka it would have been a shorter start than a newcomer's."""
    if missing := [name for name in _SERVERS if not (clone / ".desk" / name).is_dir()]:
        raise RuntimeError(f"`make up` did not start {' and '.join(missing)}")


def _make(target: str, clone: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    # `make reset` asks before it deletes.
    done = subprocess.run(
        ["make", target], cwd=clone, env=environment, input="y\n", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"make {target} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return time.perf_counter() - began
