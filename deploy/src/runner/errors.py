"""What the runner tells its user when something cannot be done: a sentence, never a stack trace."""

from __future__ import annotations

from pathlib import Path

from shared.errors import DeskError


class RunnerError(DeskError):
    """The installation on this machine cannot do what was asked; the message says what to do."""

    code = "runner-error"
    title = "The installation cannot do this"


class PortBusy(RunnerError):
    """Another process listens where one of ours should."""

    code = "port-busy"
    title = "A port is taken"


class JarTampered(RunnerError):
    """A jar of Kafka is not the one that the committed lock names."""

    code = "jar-tampered"
    title = "A jar differs from the lock"


class ServerFailed(RunnerError):
    """A server did not start, or ended while it was waited for."""

    code = "server-failed"
    title = "A server did not start"


def tail_of(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for a message about a process that did not start."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def sentence_in(said: str) -> str:
    """What a command that was refused said in words: no lines for machines, and of a traceback only how it ends."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip() and not line.startswith("{")]
    if any(line.startswith("Traceback ") for line in lines):
        return lines[-1]
    return "\n".join(lines[-30:])
