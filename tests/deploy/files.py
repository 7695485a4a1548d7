"""The files of the deployment as the tests read them: Dockerfile steps, merged compose files, environment files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = ("tickets", "inventory", "sla", "devlink")
PARTS = ("api", "consumer", "relay", "jobs")
# Packages that an image's list names for another system or another Python; the marker in the lock leaves them out.
ELSEWHERE = {"colorama", "httpx2-jsfetch", "async-timeout"}

Document = dict[str, Any]


def steps(dockerfile: str) -> list[tuple[str, str]]:
    """Every step as (instruction, the rest), continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    split = [line.strip().split(None, 1) for line in whole.splitlines()]
    return [(words[0].upper(), " ".join(words[1:]).strip()) for words in split]


def compose(*names: str) -> Document:
    """The files laid over one another as compose does it: what is a mapping is merged, secrets are added, the rest
    replaces."""
    merged: Document = {}
    for name in names:
        read = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
        lay_over(merged, {key: value for key, value in read.items() if not key.startswith("x-")})
    return merged


def lay_over(below: Document, above: Document) -> None:
    """Lay one read file over another, in place."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            lay_over(below[key], value)
        elif key in ("secrets", "env_file") and isinstance(below.get(key), list):
            below[key] = [*below[key], *[one for one in value if one not in below[key]]]
        else:
            below[key] = value


def variables(path: Path) -> dict[str, str]:
    """Name and value of every variable that an environment file names; also of those that it only shows, after a #."""
    found = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def given(path: Path) -> dict[str, str]:
    """Name and value of every variable that an environment file sets."""
    found = re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def unexplained(path: Path) -> list[str]:
    """The variables before which no comment stands (another variable may: they are then explained together)."""
    told, explained = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"#?[A-Z][A-Z0-9_]*=", line):
            if not explained:
                told.append(line)
        elif line.startswith("# "):
            explained = True
        else:
            explained = False
    return told
