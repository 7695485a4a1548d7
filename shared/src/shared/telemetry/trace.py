"""W3C trace context: reads, writes and begins a `traceparent`."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """One position in a trace: the trace and the span that what follows is a child of."""

    trace_id: str
    span_id: str
    flags: int = _SAMPLED

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse(text: str | None) -> TraceParent | None:
    """Reads a traceparent; None when there is none or it is not valid (W3C Trace Context level 1, section 3.2.2).

    A later version than 00 is read as if it were 00, as the recommendation asks; version ff is forbidden.
    """
    found = _FORM.fullmatch(text) if text else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceParent(trace_id, span_id, int(flags, 16) & _SAMPLED)


def new_trace() -> TraceParent:
    """A new trace of which nobody keeps spans: its id joins log lines and events, and it is marked as not sampled."""
    while True:
        drawn = secrets.token_hex(24)
        trace_id, span_id = drawn[:32], drawn[32:]
        # All zeros would mean that there is none.
        if trace_id.strip("0") and span_id.strip("0"):
            return TraceParent(trace_id, span_id, 0)
