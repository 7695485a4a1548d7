"""Files that only this installation's own user may read or reach: keys, passwords, records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; at no moment can anybody but its owner read it.

    Raises OSError that names the file; then the old one is still there, and nothing else.
    """
    new = _write_beside(path, text)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def make_private_once(path: Path, make: Callable[[], str], mode: int = 0o600) -> str:
    """The content of a private file, made at its first use; of several processes that try at once, one makes it.

    Another `mode` is for a file that its folder keeps private.
    Raises OSError that names the file when it cannot be made; then nothing is left of the attempt.
    """
    if not path.exists():
        new = _write_beside(path, make())
        # Whole and closed before it has its name; the process's mask is not asked.
        new.chmod(mode)
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
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        # A full disk may be told only when the file is closed.
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        new.unlink(missing_ok=True)
        # What failed to be written knows no name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return new
