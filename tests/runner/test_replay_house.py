"""Who works there as a log tells it, who covers what, and where each incident ends: by its rows alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from runner.replay.catalogue import Place
from runner.replay.hands import Hands, hands_of
from runner.replay.house import MOST_TEAMS, House, Routing, house_of, team_id
from runner.replay.log import Incident, read_incidents
from runner.replay.plan import MEANINGS, Action, plan_of
from shared.contracts.tickets import Groups
from tests.runner.incidents import CATALOGUE, EVERYTHING, incident
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, new_ticket
from tickets.domain.escalation import EVERYWHERE
from tickets.domain.routing import Coverage, Pattern, route
from tickets.domain.ticket import Ticket

ROW = st.builds(
    lambda pair, level, who: f"{who}{'/'.join(pair)}/{level}",
    st.sampled_from(sorted(MEANINGS)),
    st.sampled_from(["L1", "L2", "L3", "L2/L3"]),
    st.sampled_from(["", "R1! ", "R2! "]),
)
Fits = Callable[[int, str], bool]
_escalations = count(1)


def do(ticket: Ticket, action: Action) -> Ticket:
    """The action as tickets does it; where its team is, is not a matter of this test."""
    detail: Any = action.detail
    match action.kind:
        case "assign":
            return ticket if ticket.assignee == detail else ticket.assign(detail)[0]
        case "escalate":
            return ticket.escalate(UUID(int=next(_escalations)), detail, "x", NOTHING_KNOWN, EVERYWHERE)[0]
        case "de-escalate":
            return ticket.deescalate("x", "analistas")[0]
        case "hold":
            return ticket.hold(detail, "x", at=NOW, now=NOW)[0]
        case "release":
            return ticket.release(at=NOW)[0]
        case "resolve":
            return ticket.resolve(detail, "x", at=NOW)[0]
        case "reopen":
            return ticket.reopen("x", at=NOW)[0]
        case "close":
            return ticket.close(at=NOW)[0]


def end_of(one: Incident, fits: Fits) -> tuple[int, str | None]:
    """Where the actions of its plan leave a ticket; none of them may be refused."""
    ticket = new_ticket()
    for action in plan_of(one).actions:
        if action.kind != "assign" or fits(ticket.level, action.detail):
            ticket = do(ticket, action)
    return ticket.level, ticket.assignee


def everybody(level: int, person: str) -> bool:
    """Anybody may be given work of any level."""
    return True


FITTING = st.sets(st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from(["registro.r1", "registro.r2"])))


@given(st.lists(ROW, min_size=1, max_size=12), FITTING)
def test_whatever_a_log_says_is_done_and_ends_where_its_rows_say(rows: list[str], fitting: set[Any]) -> None:
    one = incident("7", *rows)
    for fits in (everybody, lambda level, person: (level, person) in fitting):
        hands = hands_of(one, fits)
        assert end_of(one, fits) == (hands.level, hands.assignee)


def test_every_incident_of_the_log_is_done_whole_and_ends_where_its_rows_say() -> None:
    """Of the real log where DESK_INCIDENT_LOG names one; the summary of the run says whether it does."""
    log = os.environ.get("DESK_INCIDENT_LOG")
    for one in [incident("7", "R1! Accepted/In Progress/L1"), *(read_incidents(Path(log)) if log else ())]:
        hands = hands_of(one, everybody)
        assert end_of(one, everybody) == (hands.level, hands.assignee), one.case


def test_where_an_incident_ends_written_by_hand() -> None:
    assert hands_of(incident("7", "Accepted/In Progress/L1"), everybody) == Hands(1, None, "A1")
    there_and_back = (
        "G2: R1! Accepted/In Progress/L2", "G3: R2! Queued/Awaiting Assignment/L3", "G3: R3! Accepted/Wait/L3",
        "G2: R3! Queued/Awaiting Assignment/L2",
    )  # fmt: skip
    assert hands_of(incident("7", *there_and_back[:2]), everybody) == Hands(3, None, "G3")
    assert hands_of(incident("7", *there_and_back[:3]), everybody) == Hands(3, "registro.r3", "G3")
    assert hands_of(incident("7", *there_and_back), everybody) == Hands(2, "registro.r1", "G2")
    assert hands_of(incident("7", *there_and_back), lambda level, person: level == 3) == Hands(2, None, "G2")
    twice = ("R1! Completed/Resolved/L1", "G9: R2! Completed/Closed/L3", "G9: R2! Unmatched/Unmatched/L3")
    assert hands_of(incident("7", *twice), everybody) == Hands(1, "registro.r1", "A1")


def test_people_have_ids_that_the_desk_takes_and_nobody_else_has() -> None:
    (row,) = incident("7", "Ana Ñandú! Accepted/In Progress/L1").rows
    assert row.person == "registro.ana--and-"
    assert incident("7", "Accepted/In Progress/L1").rows[0].person is None
    (row,) = incident("7", f"{'x' * 300}! Accepted/In Progress/L1").rows
    assert len(str(row.person)) <= 128


def test_a_team_has_one_id_on_each_level() -> None:
    assert (team_id(3, "V5 3rd"), team_id(1, "¡!")) == ("registro-l3-v5-3rd", "registro-l1-sin-nombre")
    assert len(team_id(2, "x" * 99)) == 40


def rows_of(team: str, level: str, many: int, person: str = "R1") -> list[str]:
    """So many rows of a team."""
    return [f"{team}: {person}! Accepted/In Progress/{level}"] * many


def place_of(one: Incident) -> tuple[str, str]:
    """The client and the product of an incident."""
    place = CATALOGUE.place(one)
    return place.client_id, place.product_id


def test_the_greatest_teams_cover_the_places_where_they_did_most() -> None:
    queued = "G2: R9! Queued/Awaiting Assignment/L2"
    here = incident("7", *rows_of("G1", "L1", 2), *rows_of("G2", "L1", 3, "R2"), queued, *rows_of("G2", "L2", 1))
    there = incident("8", *rows_of("G1", "L1", 9, "R3"), product="PROD2", country="pl")
    house = house_of([here, there], CATALOGUE)
    places = [place_of(one) for one in (here, there)]
    assert places[0] != places[1]
    assert house.people == ("registro.r1", "registro.r2", "registro.r3")
    assert {team.id: (team.target, team.members, team.covers) for team in house.teams} == {
        "registro-l1-g1": ("call-centre", ("registro.r3",), (places[1],)),
        "registro-l1-g2": ("call-centre", ("registro.r1", "registro.r2"), (places[0],)),
        "registro-l2-g2": ("analysts", ("registro.r1",), (places[0],)),
    }
    assert house == house_of([there, here], CATALOGUE)


def test_a_log_with_very_many_teams_and_people_gives_few_and_none_that_the_desk_would_refuse() -> None:
    rows = [f"G{team}: R{team}-{n}! Accepted/In Progress/L1" for team in range(30) for n in range(60 - team)]
    rows += [f"G0: R{n}! Accepted/In Progress/L1" for n in range(300)]
    house = house_of([incident(str(n), *rows[n * 50 : n * 50 + 50]) for n in range(len(rows) // 50)], CATALOGUE)
    assert [team.id for team in house.teams] == sorted(f"registro-l1-g{n}" for n in range(MOST_TEAMS))
    assert all(len(team.members) < 200 and len(team.covers) <= 500 for team in house.teams)
    assert house_of([], CATALOGUE) == House((), ())


def test_where_none_of_the_greatest_has_been_the_greatest_of_the_level_takes_it() -> None:
    great = [incident(f"1{n}", *rows_of(f"G{n}", "L1", 3 + (n == 5))) for n in range(MOST_TEAMS)]
    small = [incident("8", *rows_of("H1", "L1", 1, "R7"), product=f"PROD{n}") for n in range(20)]
    (there, *_) = [one for one in small if place_of(one) not in map(place_of, great)]
    house = house_of([*great, there], CATALOGUE)
    assert "registro-l1-h1" not in {team.id for team in house.teams}
    place = place_of(there)
    (taken,) = [team for team in house.teams if place in team.covers]
    assert (taken.id, "registro.r7" in taken.members) == ("registro-l1-g5", True)


NAMED = st.sampled_from(["aa", "bb"])
SOME = st.sampled_from([None, "aa", "bb"])
TEAM = st.fixed_dictionaries(
    {
        "target": st.sampled_from(["call-centre", "analysts", "development"]),
        "retired": st.booleans(),
        "covers": st.lists(st.fixed_dictionaries(dict.fromkeys(EVERYTHING, SOME)), max_size=3),
    }
)


@given(st.lists(TEAM, max_size=6), st.sampled_from([1, 2, 3]), NAMED, NAMED, SOME)
def test_a_place_is_covered_as_the_service_routes_it(
    teams: list[dict[str, Any]], level: int, client: str, product: str, module: str | None
) -> None:
    seen: set[tuple[Any, ...]] = set()
    for team in teams:
        # No two teams of one target in use cover the same.
        team["covers"] = [
            one
            for one in team["covers"]
            if team["retired"] or not _again(seen, (team["target"], *map(one.get, EVERYTHING)))
        ]
    default = [
        {"id": f"all-{target}", "target": target, "retired": False, "covers": [EVERYTHING]}
        for target in ("call-centre", "analysts", "development")
        if (target, None, None, None) not in seen
    ]
    house = [*({"id": f"t{n}"} | team for n, team in enumerate(teams)), *default]
    coverages = [
        Coverage(team["id"], team["target"], Pattern(**one))
        for team in house
        for one in team["covers"]
        if not team["retired"]
    ]
    groups = Groups(client_id=client, product_id=product, module_id=module)
    target = {1: "call-centre", 2: "analysts", 3: "development"}[level]
    found = Routing(house).team_of(level, Place(client, product, module))
    assert found == route(coverages, target, groups).team_id


def _again(seen: set[tuple[Any, ...]], one: tuple[Any, ...]) -> bool:
    """Whether it was there; it is then."""
    try:
        return one in seen
    finally:
        seen.add(one)
