"""Files that only this installation's own user may read: keys, passwords, records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; at no moment can anybody but its owner read it."""
    new = _write_beside(path, text)
    new.replace(path)


def make_private_once(path: Path, make: Callable[[], str]) -> str:
    """The content of a private file, made at its first use; of several processes that try at once, one makes it."""
    if not path.exists():
        new = _write_beside(path, make())
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return path.read_text(encoding="utf-8")


def make_password() -> str:
    """A password that can stand in an address as it is."""
    return secrets.token_urlsafe(24)


def _write_beside(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return new
