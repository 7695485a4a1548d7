"""`python -m sla simulate` and POST /v1/simulations: cases in, results out, and none stops the others."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from sla.queries.simulations import simulate, simulate_lines

WEEK = ("mon", "tue", "wed", "thu", "fri")
OFFICE = {"timezone": "America/Argentina/Buenos_Aires", "weekly": {day: [["09:00", "18:00"]] for day in WEEK}}
ALWAYS = {"timezone": "UTC", "weekly": {day: [["00:00", "24:00"]] for day in (*WEEK, "sat", "sun")}}


def case(kind: str, calendar: dict[str, Any] = OFFICE, /, **given: Any) -> dict[str, Any]:
    return {"id": "c", "calendar": calendar, "kind": kind, "input": given}


def answer(kind: str, calendar: dict[str, Any] = OFFICE, /, **given: Any) -> dict[str, Any]:
    found = simulate(case(kind, calendar, **given))
    assert found.pop("id") == "c"
    return found


@pytest.mark.parametrize(
    ("start", "seconds", "more", "end"),
    [
        ("2026-11-27T17:50:00-03:00", 600, {}, "2026-11-27T18:00:00-03:00"),
        ("2026-11-27T17:50:00-03:00", 601, {}, "2026-11-30T09:00:01-03:00"),
        ("2026-11-28T12:00:00-03:00", 0, {}, "2026-11-30T09:00:00-03:00"),
        ("2026-11-28T12:00:00-03:00", 0, {"direction": "back"}, "2026-11-27T18:00:00-03:00"),
        ("2026-11-30T12:30:00Z", -1800, {}, "2026-11-30T09:00:00-03:00"),
        ("2026-11-30T12:30:00Z", 1800, {"direction": "back"}, "2026-11-30T09:00:00-03:00"),
        ("2026-11-30T09:30:00-03:00", -1801, {}, "2026-11-27T17:59:59-03:00"),
    ],
)
def test_so_many_open_seconds_lead_there(start: str, seconds: int, more: dict[str, str], end: str) -> None:
    assert answer("add", start=start, business_seconds=seconds, **more) == {"end": end}


def test_open_seconds_between_two_instants_are_negative_the_other_way_round() -> None:
    friday, monday = "2026-11-27T17:50:00-03:00", "2026-11-30T09:10:00-03:00"
    assert answer("between", start=friday, end=monday) == {"business_seconds": 1200}
    assert answer("between", start=monday, end=friday) == {"business_seconds": -1200}


def test_what_is_left_of_a_target_is_negative_when_it_is_overdue() -> None:
    given = {"start": "2026-11-27T17:50:00-03:00", "end": "2026-11-30T09:10:00-03:00"}
    assert answer("remaining", business_seconds=3600, **given) == {"business_seconds": 2400, "elapsed": 1200}
    assert answer("remaining", business_seconds=1000, **given) == {"business_seconds": -200, "elapsed": 1200}


def events(*told: tuple[str, str] | tuple[str, str, int]) -> list[dict[str, Any]]:
    return [
        {"at": f"2026-11-30T{at}:00-03:00", "type": kind, **({"target_seconds": more[0]} if more else {})}
        for at, kind, *more in told
    ]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            events(("09:00", "start"), ("10:00", "pause")),
            {"end": None, "business_seconds": 3600, "paused_business_seconds": 0, "remaining": 3600, "breached": False,
             "state": "paused"},
        ),
        (
            events(("17:00", "start"), ("17:30", "pause"), ("20:00", "resume")),
            {"end": "2026-12-01T10:30:00-03:00", "business_seconds": 1800, "paused_business_seconds": 1800,
             "remaining": 5400, "breached": False, "state": "running"},
        ),
        (
            events(("09:00", "start"), ("11:00", "stop"), ("12:00", "pause")),
            {"end": "2026-11-30T11:00:00-03:00", "business_seconds": 7200, "paused_business_seconds": 0,
             "remaining": 0, "breached": False, "state": "stopped"},
        ),
        (
            events(("09:00", "start"), ("12:00", "stop")),
            {"end": "2026-11-30T11:00:00-03:00", "business_seconds": 10800, "paused_business_seconds": 0,
             "remaining": -3600, "breached": True, "state": "stopped"},
        ),
        (
            events(("09:00", "start"), ("09:10", "pause"), ("09:20", "resume"), ("10:30", "target_change", 1800)),
            {"end": "2026-11-30T09:40:00-03:00", "business_seconds": 4800, "paused_business_seconds": 600,
             "remaining": -3000, "breached": True, "state": "running"},
        ),
    ],
)  # fmt: skip
def test_the_life_of_a_clock_leads_where_its_fold_does(told: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert answer("lifecycle", target_seconds=7200, events=told) == expected


def one_second(calendar: dict[str, Any] = OFFICE, **other: Any) -> dict[str, Any]:
    return case("add", calendar, **{"start": "2026-11-30T09:00:00Z", "business_seconds": 1, **other})


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (one_second({"timezone": "UTC", "weekly": {}}), "ever open"),
        (one_second({**OFFICE, "timezone": "America/Nowhere"}), "IANA"),
        (one_second({**OFFICE, "weekly": {"monday": []}}), "monday"),
        (one_second(start="2026-11-30T09:00:00"), "start"),
        (one_second(business_seconds=1.5), "business_seconds"),
        (one_second(business_seconds=10**12), "business_seconds"),
        (case("lifecycle", target_seconds=60, events=events(("09:00", "pause"))), "start"),
        (case("lifecycle", target_seconds=60, events=[]), "events"),
        (case("what"), "what"),
        ("nothing", "dictionary|object|dict"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_id(stated: Any, words: str) -> None:
    found = simulate(stated)
    assert set(found) == {"id", "error"}
    assert any(word in found["error"] for word in words.split("|")), found["error"]


def test_a_calendar_that_opens_on_one_date_only_says_so_when_more_is_asked_of_it() -> None:
    once = {"timezone": "UTC", "weekly": {}, "special_days": {"2026-12-01": [["09:00", "10:00"]]}}
    asked = {"start": "2026-11-30T09:00:00Z"}
    assert answer("add", once, business_seconds=3600, **asked) == {"end": "2026-12-01T10:00:00+00:00"}
    assert "has not so many" in answer("add", once, business_seconds=3601, **asked)["error"]


def test_a_bad_line_is_one_result_and_the_run_goes_on() -> None:
    good = json.dumps(case("add", ALWAYS, start="2026-11-30T09:00:00Z", business_seconds=60))
    found = [json.loads(line) for line in simulate_lines([good, "no JSON\n", "\n", good])]
    assert [set(one) for one in found] == [{"id", "end"}, {"id", "error"}, {"id", "end"}]


def test_the_command_reads_lines_and_writes_lines() -> None:
    """Needs neither settings nor servers."""
    lines = "".join(
        json.dumps({**case("add", ALWAYS, start="2026-11-30T09:00:00Z", business_seconds=number), "id": number}) + "\n"
        for number in range(50)
    )
    done = subprocess.run(
        [sys.executable, "-m", "sla", "simulate"], input=lines, capture_output=True, text=True, check=True, timeout=60
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in found] == list(range(50))
    assert found[7] == {"id": 7, "end": "2026-11-30T09:00:07+00:00"}


async def test_the_same_over_http(http: httpx2.AsyncClient) -> None:
    good = case("add", ALWAYS, start="2026-11-30T09:00:00Z", business_seconds=60)
    answered = await http.post("/v1/simulations", json={"cases": [good, {"id": 2}]})
    assert answered.status_code == 200
    first, second = answered.json()["results"]
    assert first == {"id": "c", "end": "2026-11-30T09:01:00+00:00"}
    assert second["id"] == 2
    assert "error" in second
    many = await http.post("/v1/simulations", json={"cases": [good] * 201})
    assert many.status_code == 422
