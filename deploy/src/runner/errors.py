"""What the runner tells its user when something cannot be done: a sentence, never a stack trace."""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import DeskError

# What the database, the driver and the validator add to their sentence: values of rows, and where to read about it.
_NO_SENTENCE = re.compile(r"DETAIL:|\s+For further information visit ")
# SQLAlchemy's statement, parameters and address come last.
_STATEMENT = re.compile(r"^\[SQL: .*", re.MULTILINE | re.DOTALL)


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
    """What a command that was refused said in words: no lines for machines, and of a traceback only how it ends.

    Passwords and the values of rows are left out.
    """
    from shared.telemetry.redaction import redact_text  # its models take longer to import than most commands to run

    lines = [line.rstrip() for line in said.splitlines() if line.strip() and not line.startswith("{")]
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    told = redact_text("\n".join(_how_it_ended(lines[traces[-1] + 1 :]) if traces else lines[-30:]))
    told = _STATEMENT.sub("", told)
    return "\n".join(line for line in told.splitlines() if not _NO_SENTENCE.match(line))


def _how_it_ended(traced: list[str]) -> list[str]:
    """The error below the frames, which are all indented; its own lines may be too, from the second on."""
    first = next((number for number, line in enumerate(traced) if not line[0].isspace()), -1)
    return traced[first:]
