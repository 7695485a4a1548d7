"""What libraries say again and again is written now and then, with how often it was said."""

from __future__ import annotations

import logging
from time import monotonic

# A client of Kafka says eighty lines a second while its broker is away, an exporter one for every batch of spans while
# its collector is; an outage of a night must not fill a disk.
QUIET_SECONDS = 10.0
_MOST_KINDS = 500


class Repeats(logging.Filter):
    """Lets each kind of line of the named libraries through once in `QUIET_SECONDS`; the next one counts the others.

    A kind is a logger, a level and the text before its arguments are put in. Lines of everybody else pass.
    """

    def __init__(self, *libraries: str) -> None:
        super().__init__()
        self._libraries = libraries
        self._written: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if not any(record.name == name or record.name.startswith(f"{name}.") for name in self._libraries):
            return True
        kind, now = (record.name, record.levelno, str(record.msg)), monotonic()
        at, unwritten = self._written.get(kind, (-QUIET_SECONDS, 0))
        if now - at < QUIET_SECONDS:
            self._written[kind] = at, unwritten + 1
            return False
        if len(self._written) >= _MOST_KINDS:
            self._written.clear()
        self._written[kind] = now, 0
        if unwritten:
            record.msg = f"{record.msg} (and {unwritten} more like it since)"
        return True
