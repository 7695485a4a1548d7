"""What each role may do in each state and on each level: allowed, or a problem that says what would be; by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.contracts.tickets import Status
from shared.http.app import doors_of
from shared.http.permissions import ROLES, Role, permissions_of
from shared.instants import STEP
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.test_permissions import app_of
from tests.tickets.domain.test_workflow import EXPECTED, LEVEL_AFTER, STATES, possible_by_hand
from tests.tickets.domain.tickets import IN_FIVE_BUSINESS_DAYS, NOW, ticket_in
from tickets.domain.completing import Naming
from tickets.domain.possible import Possible, Standing, possibilities
from tickets.domain.workflow import LEVELS, RULES, Action

# Who may at all, whatever the ticket is like.
AT_THE_DESK: set[Role] = {"agent", "analyst", "liaison", "supervisor"}
MAY: dict[Action, set[Role]] = dict.fromkeys(EXPECTED, AT_THE_DESK) | {"cancel": {"analyst", "supervisor"}}
# To the third level, unless it is P1/S1.
MAY_DERIVE: set[Role] = {"analyst", "liaison", "supervisor"}


def standing(status: Status, level: int, *, immediate: bool = False) -> Standing:
    """A ticket in a state on a level, resolved just now if at all."""
    ticket = ticket_in(status, level)
    return Standing(ticket.number, status, level, ticket.target, immediate, ticket.reopenable_until, NOW, Naming())


def refusal(status: Status, level: int, action: Action, role: Role, *, immediate: bool) -> str | None:
    """The code that the tables give, None where it is allowed. Who may not is told so first."""
    if role not in MAY[action]:
        return "permission-missing"
    if EXPECTED[action][STATES.index(status)] == "-":
        return {"closed": "ticket-already-closed", "cancelled": "ticket-already-cancelled"}.get(
            status, "action-not-allowed"
        )
    if LEVEL_AFTER.get(action, LEVELS)[level - 1] is None:
        return "not-at-this-level"
    if action == "escalate" and level > 1 and not immediate and role not in MAY_DERIVE:
        return "permission-missing"
    return None


def said_of(found: list[Possible]) -> dict[Action, str | None]:
    """The code of each action that is not allowed."""
    for one in found:
        assert (one.code is None, one.problem is None) == (one.allowed, one.allowed)
    return {one.action: one.code for one in found}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_told_of_every_action_in_every_state_what_the_tables_say(role: Role) -> None:
    for status in STATES:
        for level in LEVELS:
            for immediate in (False, True):
                at = standing(status, level, immediate=immediate)
                found = said_of(possibilities(at, permissions_of([role])))
                wanted = {one: refusal(status, level, one, role, immediate=immediate) for one in EXPECTED}
                assert found == wanted, (status, level, immediate)


@pytest.mark.parametrize("status", STATES)
def test_what_is_refused_says_what_would_be_possible_or_what_is_missing(status: Status) -> None:
    ways_out = {"closed": "reopen it, or open a new one", "cancelled": "open a new one", "level": "is for level 2 or 3"}
    for level in LEVELS:
        for role in ROLES:
            for one in possibilities(standing(status, level), permissions_of([role])):
                told = one.problem or ""
                if one.code == "permission-missing":
                    rule = RULES[one.action]
                    missing = rule.may if role not in MAY[one.action] else "ticket:derive"
                    assert missing in told
                    assert missing not in permissions_of([role])
                elif one.code == "not-at-this-level":
                    assert ways_out["level"] in told
                elif one.code == "action-not-allowed":
                    assert told.endswith(f"what it can take now: {', '.join(possible_by_hand(status, level))}")
                elif one.code is not None:
                    assert ways_out[status] in told


def test_a_ticket_is_offered_for_reopening_until_its_window_ends_and_then_told_when_that_was() -> None:
    at = standing("closed", 1)
    permitted = permissions_of(["agent"])
    assert said_of(possibilities(replace(at, now=IN_FIVE_BUSINESS_DAYS), permitted))["reopen"] is None
    found = possibilities(replace(at, now=IN_FIVE_BUSINESS_DAYS + STEP), permitted)
    (refused,) = [one for one in found if one.action == "reopen"]
    assert refused.code == "reopen-window-passed"
    assert refused.problem is not None
    assert "could be reopened until 2026-11-09T21:00:00+00:00" in refused.problem


def test_each_action_has_a_door_that_asks_for_the_permission_of_the_table() -> None:
    issuer = LocalIssuer()
    issuer.url = "http://127.0.0.1:9"
    doors = {door.path: door.permission for door in doors_of(app_of("tickets", issuer)) if door.method == "POST"}
    for action, rule in RULES.items():
        assert doors[f"/v1/tickets/{{ticket_id}}/{action}"] == rule.may
        assert {role for role in ROLES if rule.may in permissions_of([role])} == MAY[action]
