"""Tracing: off unless a collector is named, true to the sender's decision, and silent about what was rolled back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.telemetry import collector, trace, tracing
from shared.telemetry.recording import exporting
from tests.shared.output import Output
from tests.support.collector import collecting
from tests.support.databases import CHECKOUT
from tests.support.spans import recording

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class RolledBack(Exception):
    """What a database might raise."""


def begun(name: str, above: str | None = None) -> tracing.Span:
    span = tracing.start("internal", name, above, {})
    assert span is not None
    return span


def roll_back_around(name: str) -> None:
    with tracing.told_after_commit():
        begun(name).end()
        raise RolledBack


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b", "OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_only_a_named_collector_turns_it_on(environment: dict[str, str], expected: bool) -> None:
    assert collector.is_configured(environment) is expected


def loaded_by(environment: dict[str, str]) -> list[str]:
    """The modules of OpenTelemetry that a process has loaded once its parts are set up."""
    program = """
import json, os, sys
import shared.http.app, shared.jobs, shared.messaging.consumer, shared.messaging.relay, shared.parts
from shared.telemetry import collector, tracing
collector.configure("tickets", "all", os.environ)
span = tracing.start("internal", "work", None, {})
if span is not None:
    span.end()
told = [span is not None, [name for name in sys.modules if name.startswith("opentelemetry")]]
print(json.dumps(told), flush=True)
tracing.close()
"""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**inherited, **environment}, cwd=CHECKOUT, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        made, modules = json.loads(process.stdout.readline())
        # However long it took to load them, from here on it ends.
        assert process.wait(timeout=20) == 0
    assert made is bool(environment)
    return list(modules)


def test_without_a_collector_neither_the_sdk_nor_the_exporter_is_loaded() -> None:
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
    assert [name for name in loaded_by({}) if name.startswith(heavy)] == []
    with collecting() as collector:
        assert "opentelemetry.sdk.trace" in loaded_by(collector.environment())


def test_without_a_collector_there_is_no_span() -> None:
    assert tracing.is_on() is False
    assert tracing.start("server", "GET", None, {}) is None
    with tracing.told_after_commit():
        pass
    tracing.close()


def test_a_span_continues_the_trace_that_it_was_given() -> None:
    with recording() as collector:
        above = begun("above", f"00-{TRACE}-{SPAN}-01")
        below = begun("below", above.traceparent)
        below.end()
        above.end()
    seen = {span.name: span for span in collector.spans}
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert (seen["above"].parent_id, seen["below"].parent_id) == (SPAN, seen["above"].id)
    assert above.traceparent == f"00-{TRACE}-{seen['above'].id}-01"


@pytest.mark.parametrize("above", [None, "", "nonsense", f"00-{TRACE}-{'0' * 16}-01"])
def test_a_span_below_nothing_begins_a_trace(above: str | None) -> None:
    with recording() as collector:
        span = begun("first", above)
        span.end()
    (seen,) = collector.spans
    assert seen.parent_id == ""
    assert seen.trace_id != TRACE
    assert trace.parse(span.traceparent) == trace.TraceParent(seen.trace_id, seen.id, 1)


def test_a_trace_that_its_beginner_does_not_sample_is_continued_and_not_exported() -> None:
    with recording() as collector:
        span = begun("work", f"00-{TRACE}-{SPAN}-00")
        span.tell("desk.type", "x")
        span.fail("ValueError")
        span.end()
    above = trace.parse(span.traceparent)
    assert above is not None
    assert (above.trace_id, above.flags, above.span_id != SPAN) == (TRACE, 0, True)
    assert collector.spans == []


def test_what_was_rolled_back_is_not_told() -> None:
    with recording() as collector:
        with pytest.raises(RolledBack):
            roll_back_around("rolled back")
        with tracing.told_after_commit():
            committed = begun("committed")
            committed.end()
            assert collector.spans == []
        begun("outside").end()
    assert [span.name for span in collector.spans] == ["committed", "outside"]


def test_a_job_begins_a_trace_and_one_that_did_nothing_leaves_none(output: Output) -> None:
    with recording() as collector:
        with tracing.work_of_time("idle"):
            assert tracing.current() is not None
        with tracing.work_of_time("timers") as portion:
            current = trace.parse(tracing.current())
            portion.done = 3
        with pytest.raises(RolledBack), tracing.work_of_time("broken"):
            raise RolledBack
        assert tracing.current() is None
    timers, broken = collector.spans
    assert current is not None
    assert (timers.name, timers.parent_id, timers.failed) == ("job timers", "", False)
    assert (timers.trace_id, timers.id) == (current.trace_id, current.span_id)
    assert timers.attributes == {"desk.job": "timers", "desk.job.done": 3}
    assert (broken.name, broken.failed, broken.attributes["error.type"]) == ("job broken", True, "RolledBack")


def test_a_job_has_a_trace_for_its_events_and_lines_though_nothing_is_exported(output: Output) -> None:
    from shared.telemetry.logs import get_logger

    with tracing.work_of_time("timers"):
        current = trace.parse(tracing.current())
        get_logger("job").info("at work")
    assert current is not None
    assert (output.only["trace_id"], current.flags) == (current.trace_id, 0)


def test_spans_reach_the_collector_and_say_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        for name, value in collector.environment().items():
            monkeypatch.setenv(name, value)
        tracing.use(exporting("sla", "jobs"))
        begun("work").end()
        tracing.close()
    (span,) = collector.spans
    assert (span.name, span.service, span.kind) == ("work", "sla", "internal")
    assert collector.addresses == ["/v1/traces"]
    assert tracing.is_on() is False


@contextmanager
def never_answering() -> Iterator[tuple[int, threading.Event]]:
    """A collector that takes a connection and says nothing; the event says that somebody connected."""
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            with server.dup() as listening:
                taken.append(listening.accept()[0])
            connected.set()

        waiting = threading.Thread(target=accept, daemon=True)
        waiting.start()
        yield server.getsockname()[1], connected
        waiting.join()
        for one in taken:
            one.close()


def test_a_collector_that_never_answers_does_not_keep_a_process_from_ending() -> None:
    with never_answering() as (port, connected):
        # Without a bound of our own the process would wait for half a minute.
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        assert loaded_by(settings)
        assert connected.is_set()


def test_a_collector_that_is_away_is_complained_of_once(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    with collecting() as collector:
        nobody = collector.port
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{nobody}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    recorder = exporting("sla", "jobs")
    tracing.use(recorder)
    for number in range(3):
        begun(f"work {number}").end()
        recorder._provider.force_flush()
    tracing.close()
    assert len(output.lines) == 1
    assert output.only["level"] == "error"


def test_a_wrong_setting_costs_the_spans_and_not_the_work(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    collector.configure("sla", "jobs", os.environ)
    assert tracing.is_on() is False
    assert (output.only["level"], output.only["event"]) == ("error", "tracing stays off, its settings are wrong")
