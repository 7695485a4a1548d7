"""Files that only this installation's own user may read or reach: keys, passwords, records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; at no moment can anybody but its owner read it.

    Raises OSError that names the file; then the old one is still there, and nothing else.
    """
    with _beside(path, text) as new:
        new.replace(path)


def make_private_once(path: Path, make: Callable[[], str], mode: int = 0o600) -> str:
    """The content of a private file, made at its first use; of several processes that try at once, one makes it.

    Another `mode` is for a file that its folder keeps private.
    Raises OSError that names the file when it cannot be made; then nothing is left of the attempt.
    """
    if not path.exists():
        with _beside(path, make()) as new:
            # Whole and closed before it has its name; the process's mask is not asked.
            new.chmod(mode)
            with suppress(FileExistsError):
                path.hardlink_to(new)
    return path.read_text(encoding="utf-8")


def make_password() -> str:
    """A password that can stand in an address as it is."""
    return secrets.token_urlsafe(24)


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A private file with this text, to be given the name `path`; what is left of it afterwards is deleted.

    Whatever is refused meanwhile is told of `path`: the name of the passing file is another one each time, and nobody
    asked for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # A full disk may be told only when the file is closed.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        yield new
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        # A disk that can only be read refuses this too, and what it refused first is what counts.
        with suppress(OSError):
            new.unlink()
