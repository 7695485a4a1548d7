"""Logs: one JSON object a line on standard output, with the context of the work and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from pydantic import BaseModel
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars, unbind_contextvars

from shared import clock
from shared.contracts.envelope import instant
from shared.telemetry.redaction import REDACTED, is_secret_name, redact, redact_text, render_traceback
from shared.telemetry.repeats import Repeats

# What these libraries say below warning is told better by the metrics of this product.
_NOISY = ("aiokafka", "faststream", "httpx2", "httpcore2", "asyncio", "sqlalchemy.engine", "alembic.runtime.plugins")

bind = bind_contextvars
unbind = unbind_contextvars


def get_logger(name: str) -> Any:
    """A logger for structured lines: `log.info("ticket opened", ticket_id=...)`."""
    return structlog.get_logger(name)


@contextmanager
def working_on(
    *,
    event_id: object = None,
    ticket_id: object = None,
    actor: str | None = None,
    correlation_id: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
) -> Iterator[None]:
    """Every line that is written inside carries what is given here."""
    given = {
        "event_id": event_id,
        "ticket_id": ticket_id,
        "actor": actor,
        "correlation_id": correlation_id,
        "trace_id": trace_id,
        "span_id": span_id,
    }
    with bound_contextvars(**{name: str(value) for name, value in given.items() if value is not None}):
        yield


def configure(service: str, part: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Sends every log line of this process, structlog's and the standard library's, to `stream` (standard output)."""
    target = stream if stream is not None else sys.stdout
    threshold = getattr(logging, level.upper())
    chain = _configure_structlog(service, part, threshold, target)
    handler = logging.StreamHandler(target)
    handler.addFilter(Repeats("aiokafka", "faststream", "opentelemetry"))
    handler.addFilter(_guard_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_text],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    _route_libraries(threshold)


def _configure_structlog(service: str, part: str, threshold: int, target: TextIO | None) -> list[Any]:
    """Returns the processors that lines of the standard library pass as well."""
    add_name, add_level = structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level
    chain: list[Any] = [merge_contextvars, add_name, add_level, _stamp(service, part), _explain_error, _redact_line]
    structlog.configure(
        processors=[*chain, _as_text],
        # Straight to the stream: a detour through the standard library's records would double the cost of a line.
        logger_factory=lambda name="desk", *_: _NamedWriter(name, target if target is not None else sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,
    )
    return chain


class _NamedWriter(structlog.WriteLogger):
    """Writes finished lines; the name is for the line's `logger` member."""

    def __init__(self, name: str, stream: TextIO) -> None:
        super().__init__(stream)
        self.name = name


def _guard_arguments(record: logging.LogRecord) -> bool:
    """Models among the arguments of a foreign line lose their personal fields before they are made into text."""
    if isinstance(record.args, tuple):
        record.args = tuple(redact(each) if isinstance(each, BaseModel) else each for each in record.args)
    return True


def _route_libraries(threshold: int) -> None:
    """Takes away the handlers that libraries installed for themselves, so that each line is written once, as JSON."""
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # This product writes its own access line: uvicorn's has the query string, where personal data may stand.
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)


Line = MutableMapping[str, Any]


def _stamp(service: str, part: str) -> Any:
    def stamp(_logger: Any, _method: str, line: Line) -> Line:
        line["at"] = instant(clock.now())
        line["service"] = service
        line["part"] = part
        return line

    return stamp


def _explain_error(_logger: Any, _method: str, line: Line) -> Line:
    given = line.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["error"] = type(error).__qualname__
        line["traceback"] = render_traceback(error)
    return line


def _redact_line(_logger: Any, _method: str, line: Line) -> Line:
    for name, value in line.items():
        if name.startswith("_"):
            continue
        if type(value) is str:
            line[name] = REDACTED if is_secret_name(name) else redact_text(value)
        else:
            line[name] = REDACTED if is_secret_name(name) else redact(value)
    return line


def _as_text(_logger: Any, _method: str, line: Mapping[str, Any]) -> str:
    return json.dumps(line, default=str, separators=(",", ":"))


# Until `configure` is called: structlog's own default would show the local variables of every frame, secrets and all.
_configure_structlog("-", "-", logging.INFO, None)
