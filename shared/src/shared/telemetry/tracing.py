"""Spans: made and exported with OpenTelemetry when a collector is configured; else only a traceparent travels.

Nothing of OpenTelemetry is imported here, and `collector` imports it only where one is named: a process without one
pays one comparison for each span that it does not make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from shared.telemetry import logs, trace
from shared.telemetry.trace import TraceParent

Kind = Literal["server", "producer", "consumer", "internal"]
Told = Mapping[str, str | int]

# The flush at the end of a process may take this long; what the collector has not taken by then is lost.
FLUSH_SECONDS = 3.0


class Span(Protocol):
    """Something that is being done. It is exported when it ends, if its trace is sampled; one that never ends is not.

    What is told must be an id, a name of this product or a number: never a text that somebody wrote, nor the message of
    an error. (A correlation id is what a caller calls the matter; it stands in events and logs all the same.)
    """

    @property
    def traceparent(self) -> str:
        """What everything that is caused by it carries."""

    def rename(self, name: str) -> None:
        """Gives it another name."""

    def tell(self, name: str, value: str | int) -> None:
        """Sets one attribute."""

    def fail(self, error_type: str) -> None:
        """Marks it as failed; `error_type` is the name of a class or a code."""

    def end(self) -> None:
        """Ends it now. Inside `told_after_commit` it is exported only when that block ends well."""

    def export(self) -> None:
        """Hands it over, with the instant at which it ended."""


class Recorder(Protocol):
    """What makes spans."""

    def start(self, kind: Kind, name: str, above: TraceParent | None, told: Told) -> Span:
        """A span below another, or one that begins a trace."""

    def close(self, seconds: float) -> None:
        """Sends what is left, and gives up after so many seconds."""


_recorder: Recorder | None = None
_held: ContextVar[list[Span] | None] = ContextVar("desk_held_spans", default=None)
_current: ContextVar[str | None] = ContextVar("desk_current_traceparent", default=None)


def is_on() -> bool:
    """Whether spans are made."""
    return _recorder is not None


def use(recorder: Recorder | None) -> None:
    """Makes spans with this from now on, or none."""
    global _recorder
    _recorder = recorder


def close() -> None:
    """Sends what is left and makes no more spans. Blocks for at most FLUSH_SECONDS."""
    recorder = _recorder
    use(None)
    if recorder is not None:
        recorder.close(FLUSH_SECONDS)


def start(kind: Kind, name: str, above: TraceParent | str | None, told: Told) -> Span | None:
    """A span below `above`, or the first of a new trace where that is missing or not valid; None while this is off."""
    if _recorder is None:
        return None
    return _recorder.start(kind, name, trace.parse(above) if isinstance(above, str) else above, told)


def hold(span: Span) -> bool:
    """Whether the span must wait for a commit; it is exported then, and forgotten after a rollback."""
    held = _held.get()
    if held is None:
        return False
    held.append(span)
    return True


@contextmanager
def told_after_commit() -> Iterator[None]:
    """Spans that end inside tell of effects of the transaction inside: they are exported when the block ends well.

    A transaction that is rolled back is tried again, and would tell everything twice.
    """
    if _recorder is None:
        yield
        return
    held: list[Span] = []
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)
    for span in held:
        span.export()


# -- what time causes ---------------------------------------------------------------------------------------------


class Portion:
    """One portion of a job; `done` says how much it did."""

    done = 0


def current() -> str | None:
    """The traceparent of the work that time caused; None outside of a job."""
    return _current.get()


@contextmanager
def work_of_time(job: str) -> Iterator[Portion]:
    """A trace of its own for a portion of a job: what is published inside belongs to it, log lines carry it.

    A portion that found nothing to do leaves no span.
    """
    portion = Portion()
    span = start("internal", f"job {job}", None, {"desk.job": job})
    traceparent = span.traceparent if span is not None else str(trace.new_trace())
    token = _current.set(traceparent)
    try:
        with logs.working_on(trace_id=traceparent[3:35]), told_after_commit():
            yield portion
    except Exception as error:
        if span is not None:
            span.fail(type(error).__qualname__)
            span.end()
        raise
    finally:
        _current.reset(token)
    if span is not None and portion.done:
        span.tell("desk.job.done", portion.done)
        span.end()
