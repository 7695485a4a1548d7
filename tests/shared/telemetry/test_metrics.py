"""The names of the metrics: dashboards and alerts stand on them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from shared.telemetry import metrics

NAMES = {
    "desk_http_request_seconds",
    "desk_http_requests_in_progress",
    "desk_relay_sent",
    "desk_relay_leader",
    "desk_relay_blocked_rows",
    "desk_relay_restarts",
    "desk_outbox_backlog",
    "desk_outbox_oldest_seconds",
    "desk_consumer_applied",
    "desk_consumer_skipped",
    "desk_consumer_parked",
    "desk_parked_messages",
    "desk_blocked_keys",
    "desk_consumer_batch_seconds",
    "desk_reaction_lag_seconds",
    "desk_jobs_run",
    "desk_jobs_failed",
    "desk_jobs_set_aside",
    "desk_errands",
    "desk_errand_seconds",
    "desk_errands_open",
    "desk_errands_given_up",
}


def test_every_metric_has_its_name_and_a_help() -> None:
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    ours = {name for name in families if name.startswith("desk_")}
    assert ours == NAMES
    assert all(families[name].documentation for name in ours)


def test_a_counter_is_exposed_with_its_label() -> None:
    metrics.consumer_applied_total.labels("desk.test.counted.v1").inc(3)
    assert 'desk_consumer_applied_total{type="desk.test.counted.v1"} 3.0' in metrics.exposition().decode()
    assert "_created" not in metrics.exposition().decode()


def test_a_request_is_counted_in_its_bucket() -> None:
    metrics.observe_request("GET", "/test/{id}", 200, 0.003)
    metrics.observe_request("GET", "/test/{id}", 200, 0.3)
    told = metrics.exposition().decode()
    series = 'desk_http_request_seconds_bucket{le="%s",method="GET",route="/test/{id}",status="200"} %s'
    assert series % ("0.0025", "0.0") in told
    assert series % ("0.005", "1.0") in told
    assert series % ("+Inf", "2.0") in told
