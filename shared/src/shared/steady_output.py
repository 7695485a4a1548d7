"""Standard output of a process that serves: lines that a full disk does not take are lost and counted, nothing more."""

from __future__ import annotations

import io
import json
import os


class SteadyOutput(io.TextIOBase):
    """Writes each line to a file descriptor at once. A failure never reaches whoever wanted to log.

    The first line that is written again is preceded by one that says how many were lost.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0

    def write(self, text: str) -> int:
        """Writes the text, or loses it. Returns its length in any case."""
        try:
            if self._lost:
                told = {"event": "log lines were lost: they could not be written", "lines": self._lost}
                # A line that the full disk cut off ends here, so that it does not spoil this one.
                self._put("\n" + json.dumps(told, separators=(",", ":")) + "\n")
                self._lost = 0
            self._put(text)
        except OSError:
            self._lost += 1
        return len(text)

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def fileno(self) -> int:
        """The descriptor that it writes to."""
        return self._descriptor

    def _put(self, text: str) -> None:
        data = text.encode("utf-8", errors="backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]
