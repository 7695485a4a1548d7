"""Whether the environment names a collector of traces; spans are made from then on."""

from __future__ import annotations

from collections.abc import Mapping

from shared.telemetry import logs, tracing
from shared.telemetry.redaction import describe_error

log = logs.get_logger(__name__)


def is_configured(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a collector, in the standard variables of OpenTelemetry."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in ("", "otlp"):
        return False
    return bool(collector_of(environment)[1])


def collector_of(environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names the collector of traces, and its address; that is empty where there is none."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if address := environment.get(name, "").strip():
            return name, address
    return "", ""


def configure(service: str, part: str, environment: Mapping[str, str]) -> None:
    """Begins to make spans when a collector is configured; OpenTelemetry's SDK is imported only then.

    A wrong setting is logged and costs the spans, never the work.
    """
    if not is_configured(environment):
        return
    from shared.telemetry.recording import exporting

    try:
        tracing.use(exporting(service, part))
    except Exception as error:
        log.error("tracing stays off, its settings are wrong", problem=describe_error(error))
