"""The replay of an incident log: reading it, the plan of each incident, and where it falls in the system."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from runner.replay.catalogue import pick
from runner.replay.log import Incident, LogUnreadable, incidents_of, read_incidents
from runner.replay.plan import LEVELS, MEANINGS, SEVERITY_OF_IMPACT, plan_of
from tests.runner.incidents import CATALOGUE, HEADER, incident


def _said(incident: Incident) -> list[str]:
    return [f"{action.kind} {action.detail}".strip() for action in plan_of(incident).actions]


# Reading


def test_a_log_is_read_incident_by_incident_plain_or_gzipped(tmp_path: Path) -> None:
    text = "\n".join(
        [
            HEADER,
            "7,2012-05-01T11:00:00+02:00,Completed,Closed,A1,L1,High,PROD1,se,R1",
            "7,2012-05-01T10:30:00+02:00,Accepted,In Progress,A1,L1,High,PROD1,se,R1",
            "8,2012-05-01T10:00:00+02:00,Completed,In Call,B2,L1,Low,PROD2,pl,R2",
        ]
    )
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("log.csv", "log.csv.gz"):
        first, second = read_incidents(tmp_path / name)
        assert [row.status for row in first.rows] == ["Accepted", "Completed"]
        assert (second.case, second.product, second.country, second.impact) == ("8", "PROD2", "pl", "Low")
    assert len(list(read_incidents(tmp_path / "log.csv", 1))) == 1


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["case,at"], "no column status"),
        ([HEADER, "7,yesterday,Accepted,In Progress,A,L1,Low,P,se,R"], "not an instant"),
        ([HEADER, "7"], "not an instant"),
        ([HEADER, "7,2012-05-01T11:00:00,Accepted,In Progress,A,L1,Low,P,se,R"], "offset"),
        (
            [HEADER, *(f"{case},2012-05-01T11:00:00+02:00,Accepted,Assigned,A,L1,Low,P,se,R" for case in "787")],
            "do not stand together",
        ),
    ],
)
def test_what_is_no_incident_log_is_refused_with_the_reason(lines: list[str], told: str) -> None:
    with pytest.raises(LogUnreadable, match=told):
        list(incidents_of(lines))


def test_a_file_that_is_not_there_or_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable, match="cannot be read"):
        list(read_incidents(tmp_path / "nothing.csv"))
    rows = [f"{case},2012-05-01T11:00:00+02:00,Accepted,Assigned,A,L1,Low,P,se,R" for case in range(9999)]
    whole = gzip.compress("\n".join([HEADER, *rows]).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LogUnreadable, match="cannot be read"):
        list(read_incidents(tmp_path / "cut.csv.gz"))


# The plan of an incident


def test_an_incident_is_handed_up_as_its_levels_rise_and_settled_at_the_end() -> None:
    one = incident(
        "7",
        "Accepted/In Progress/L1",
        "Queued/Awaiting Assignment/L2",
        "Accepted/In Progress/L2",
        "Queued/Awaiting Assignment/L3",
        "Completed/Resolved/L3",
        "Completed/Closed/L3",
    )
    assert _said(one) == ["escalate analysts", "escalate development", "resolve error-corregido", "close"]


def test_from_the_first_level_to_the_third_the_analysts_are_passed_on_the_way() -> None:
    one = incident("7", "Queued/Awaiting Assignment/L3")
    assert _said(one) == ["escalate analysts", "escalate development"]


def test_an_incident_goes_up_and_down_and_development_is_asked_again_each_time_it_comes_back_to_it() -> None:
    levels = ("L1", "L3", "L2", "L3", "L3", "L1", "L2/L3")
    one = incident("7", *(f"Accepted/In Progress/{level}" for level in levels))
    up, down = ["escalate analysts", "escalate development"], "de-escalate"
    assert _said(one) == [*up, down, up[1], down, down, up[0]]


def test_whoever_is_named_takes_it_once_and_anew_where_it_has_gone_to() -> None:
    one = incident(
        "7", "R1! Accepted/In Progress/L1", "R1! Accepted/Wait - User/L1", "R2! Accepted/In Progress/L1",
        "R2! Queued/Awaiting Assignment/L2", "R2! Accepted/In Progress/L2", "R2! Completed/Resolved/L2",
        "R3! Completed/Closed/L2",
    )  # fmt: skip
    assert _said(one) == [
        "assign registro.r1", "hold waiting-for-client", "release", "assign registro.r2", "escalate analysts",
        "assign registro.r2", "resolve error-corregido", "close",
    ]  # fmt: skip


def test_a_wait_is_a_hold_for_its_reason_until_somebody_works_again() -> None:
    one = incident(
        "7",
        "Accepted/Wait - User/L1",
        "Accepted/Wait - Customer/L1",
        "Accepted/Wait - Vendor/L1",
        "Accepted/In Progress/L1",
        "Accepted/Wait/L1",
        "Completed/Resolved/L1",
    )
    assert _said(one) == [
        "hold waiting-for-client",
        "release",
        "hold third-party",
        "release",
        "hold waiting-for-client",
        "resolve error-corregido",
    ]


def test_a_hold_is_left_before_the_ticket_goes_up_and_taken_again_after() -> None:
    one = incident("7", "Accepted/Wait - User/L1", "Accepted/Wait - User/L2")
    assert _said(one) == ["hold waiting-for-client", "release", "escalate analysts", "hold waiting-for-client"]


def test_what_follows_a_resolution_and_is_none_reopens_it() -> None:
    one = incident(
        "7", "Completed/Resolved/L1", "Accepted/Wait - User/L1", "Completed/Closed/L1", "Completed/Resolved/L1",
        "Queued/Awaiting Assignment/L2",
    )  # fmt: skip
    assert _said(one) == [
        "resolve error-corregido", "reopen", "hold waiting-for-client", "resolve error-corregido", "close", "reopen",
        "escalate analysts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Completed/In Call/L1", ["resolve capacitacion", "close"]),
        ("Completed/Cancelled/L1", ["resolve sin-respuesta-del-cliente", "close"]),
        ("Unmatched/Unmatched/L1", []),
    ],
)
def test_every_other_ending_of_the_log_has_its_actions(row: str, said: list[str]) -> None:
    assert _said(incident("7", row)) == said


def test_a_status_that_nobody_knows_is_counted_and_changes_nothing() -> None:
    plan = plan_of(incident("7", "Accepted/Wait - User/L1", "Parked/Somewhere/L3"))
    assert plan.unread == (("Parked", "Somewhere"),)
    assert len(plan.actions) == 1


def test_everything_in_the_incident_log_has_a_meaning() -> None:
    """On the real log where DESK_INCIDENT_LOG names one; the summary of the run says whether it does."""
    incidents = [incident("7", *("/".join((*pair, "L2/L3")) for pair in MEANINGS))]
    if log := os.environ.get("DESK_INCIDENT_LOG"):
        incidents += read_incidents(Path(log))
    rows = [row for incident in incidents for row in incident.rows]
    assert {(row.status, row.sub_status) for row in rows} == set(MEANINGS)
    assert {row.level for row in rows} <= set(LEVELS)
    assert {incident.impact for incident in incidents} <= set(SEVERITY_OF_IMPACT)
    assert [plan_of(incident).unread for incident in incidents if plan_of(incident).unread] == []


# Where an incident falls


def test_the_hash_is_the_same_on_every_machine() -> None:
    # 0xCBF43926 is the check value that every description of CRC-32 gives for these nine digits.
    assert pick(range(1000), "123456789") == 0xCBF43926 % 1000
    assert pick("abc", "123456789") == "abc"[0xCBF43926 % 3]


def test_the_client_runs_the_product_where_one_does() -> None:
    for number in range(50):
        place = CATALOGUE.place(incident("7", "Accepted/Assigned/L1", product=f"PROD{number}"))
        if place.product_id == "alfa":
            assert place.client_id == "beta"
            assert place.module_id in ("alfa-uno", "alfa-dos")
        else:
            assert place.client_id in CATALOGUE.clients
            assert place.module_id is None
