"""The Prometheus metrics of a process: every name of the product in one place."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client import generate_latest as _generate_latest

# A second series per counter that only tells when it was made doubles what is scraped and answers no question here.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

http_request_seconds = Histogram(
    "desk_http_request_seconds",
    "Time from the head of a request to the end of its answer",
    ["method", "route", "status"],
    buckets=_SHORT,
)
http_requests_in_progress = Gauge("desk_http_requests_in_progress", "Requests that are being answered")

relay_sent_total = Counter("desk_relay_sent_total", "Events that Kafka acknowledged to the relay")
relay_leader = Gauge("desk_relay_leader", "1 while this process leads the relays of its database")
relay_blocked_rows = Gauge("desk_relay_blocked_rows", "Rows that cannot be sent, each with its key behind it")
relay_restarts_total = Counter("desk_relay_restarts_total", "Times that the relay began anew after an error")
outbox_backlog = Gauge("desk_outbox_backlog", "Events that are committed and not yet sent")
outbox_oldest_seconds = Gauge("desk_outbox_oldest_seconds", "Age of the oldest event that is not yet sent")

consumer_applied_total = Counter("desk_consumer_applied_total", "Events applied to the database", ["type"])
consumer_skipped_total = Counter("desk_consumer_skipped_total", "Records passed over, by reason", ["reason"])
consumer_parked_total = Counter("desk_consumer_parked_total", "Messages that were parked, by reason", ["reason"])
parked_messages = Gauge("desk_parked_messages", "Messages that are parked now")
blocked_keys = Gauge("desk_blocked_keys", "Keys that wait behind a parked message")
consumer_batch_seconds = Histogram(
    "desk_consumer_batch_seconds", "Time of one batch from delivery to commit", buckets=_SHORT
)
reaction_lag_seconds = Histogram(
    "desk_reaction_lag_seconds",
    "Time from the recording of an event to the commit of its reaction",
    ["type"],
    buckets=_LAG,
)

jobs_run_total = Counter("desk_jobs_run_total", "Runs of a job that ended well", ["job"])
jobs_failed_total = Counter("desk_jobs_failed_total", "Runs of a job that failed", ["job"])
jobs_set_aside_total = Counter("desk_jobs_set_aside_total", "Pieces of a job's work that were set aside", ["job"])

errands_total = Counter(
    "desk_errands_total", "Attempts at work that calls out, by what came of them", ["kind", "outcome"]
)
errand_seconds = Histogram(
    "desk_errand_seconds",
    "Time of one attempt from the call to its record",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
errands_open = Gauge("desk_errands_open", "Errands that wait or are under way", ["kind"])
errands_given_up = Gauge("desk_errands_given_up", "Errands that nobody tries any more", ["kind"])

CONTENT_TYPE = CONTENT_TYPE_LATEST

_observers: dict[tuple[str, str, int], Histogram] = {}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request. `route` is the template, so that an id never becomes a label."""
    key = (method, route, status)
    observer = _observers.get(key)
    if observer is None:
        observer = _observers[key] = http_request_seconds.labels(method, route, str(status))
    observer.observe(seconds)


def exposition() -> bytes:
    """All metrics of this process in Prometheus' text format."""
    return _generate_latest(REGISTRY)
