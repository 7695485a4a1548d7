"""What a contract promises is its type's with its own differences; versions follow each other, equal ones do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.business_time.known import CalendarName
from shared.target_choice import Judged
from sla.domain.contract import (
    BadWarnings,
    Contract,
    ContractEndsBeforeItBegins,
    ContractOfAnotherClient,
    Differences,
    Warnings,
    checked_promises,
    contract_recorded,
    next_version,
)
from sla.domain.target import IncompleteTargets, UnknownCalendar
from tests.sla.domain.promising import HOUR, HOURS, NOW, PROMISES, START, TARGETS, rule

CONTRACT = Contract(
    id="acme-2026",
    version=1,
    client_id="acme",
    contract_type="oro",
    type_version=1,
    effective_from=START,
    valid_from=START,
    valid_until=None,
    product_ids=(),
    differences=Differences(),
    promises=PROMISES,
)
LATER = START + timedelta(days=90)


def warned(response: tuple[str, ...], resolution: tuple[str, ...] = ("50%",)) -> Any:
    return replace(PROMISES, warnings=Warnings(response, resolution))


def test_each_clock_has_the_target_of_its_rule_in_the_version_of_its_calendar() -> None:
    terms = PROMISES.terms_of(PROMISES.rule_of("resolution", Judged("incident", 2, 3)), 7)
    assert (terms.kind, terms.target_seconds, terms.calendar) == (
        "resolution", 20 * HOUR, CalendarName("comercial", 7),
    )  # fmt: skip


def test_first_response_never_pauses_whatever_the_contract_says() -> None:
    judged = Judged("incident", 1, 1)
    assert PROMISES.terms_of(PROMISES.rule_of("response", judged), 1).pausing_holds == frozenset()
    resolution = PROMISES.terms_of(PROMISES.rule_of("resolution", judged), 1)
    assert resolution.pausing_holds == {"agreed-date", "waiting-for-client"}


def test_warnings_become_seconds_on_the_way_to_the_target_of_each_clock() -> None:
    said = replace(PROMISES, warnings=Warnings(("50%", "80%"), ("50%", "90%", "30min before", "60min before")))
    assert [(one.seconds, one.said_as) for one in said.warnings.thresholds("response", 1200)] == [
        (600, "50%"), (960, "80%"),
    ]  # fmt: skip
    assert [(one.seconds, one.said_as) for one in said.warnings.thresholds("resolution", 4 * HOUR)] == [
        (2 * HOUR, "50%"), (3 * HOUR, "60min before"), (12_600, "30min before"), (12_960, "90%"),
    ]  # fmt: skip


def test_a_share_of_an_odd_target_is_reached_at_a_whole_second() -> None:
    (half,) = Warnings(("50%",), ()).thresholds("response", 901)
    assert half.seconds == 451


@pytest.mark.parametrize("said", [("100%",), ("120%",), ("50%", "50%"), ("60min before",), ("61min before",)])
def test_warnings_that_make_no_sense_are_refused(said: tuple[str, ...]) -> None:
    with pytest.raises(BadWarnings, match="response"):
        checked_promises(warned(said), HOURS, NOW)


def test_minutes_before_are_fewer_than_every_target_of_the_clock_has() -> None:
    enough = warned(("59min before",), ("599min before",))
    assert checked_promises(enough, HOURS, NOW) is enough
    with pytest.raises(BadWarnings, match="resolution clock would warn 600min before.* 36000 s"):
        checked_promises(warned((), ("600min before",)), HOURS, NOW)


def test_promises_are_complete_and_name_calendars_that_count() -> None:
    assert checked_promises(PROMISES, HOURS, NOW) is PROMISES
    with pytest.raises(IncompleteTargets):
        checked_promises(replace(PROMISES, targets=TARGETS[1:]), HOURS, NOW)
    with pytest.raises(UnknownCalendar, match="lunar"):
        checked_promises(replace(PROMISES, reporting_calendar="lunar"), HOURS, NOW)


def test_what_a_contract_does_not_say_is_what_its_type_says() -> None:
    assert Differences().applied_to(PROMISES) == PROMISES
    own = rule("resolution", HOUR, severities=(1,))
    differences = Differences(targets=(own,), pausing_holds=(), reopen_days=0, currency="USD")
    assert differences.applied_to(PROMISES) == replace(
        PROMISES, targets=(own, *TARGETS), pausing_holds=(), reopen_days=0, currency="USD"
    )


def test_a_contract_s_own_rule_comes_before_an_equally_specific_one_of_its_type() -> None:
    own = rule("resolution", HOUR, severities=(1, 2))
    promises = Differences(targets=(own,)).applied_to(PROMISES)
    assert promises.rule_of("resolution", Judged("incident", 2, 2)) is own
    assert promises.rule_of("resolution", Judged("incident", 3, 2)) is TARGETS[6]


def test_a_new_contract_holds_from_its_beginning_and_a_change_from_now() -> None:
    first = next_version(None, replace(CONTRACT, version=9), None, LATER)
    assert first == CONTRACT
    changed = next_version(CONTRACT, replace(CONTRACT, contract_type="plata"), None, LATER)
    assert changed == replace(CONTRACT, version=2, contract_type="plata", effective_from=LATER)


def test_a_change_may_hold_from_an_earlier_or_a_later_instant() -> None:
    for since in (START - timedelta(days=1), START, LATER + timedelta(days=9)):
        changed = next_version(CONTRACT, replace(CONTRACT, contract_type="plata"), since, LATER)
        assert changed is not None
        assert (changed.version, changed.effective_from) == (2, since)


def test_the_same_contract_is_no_new_version_unless_it_is_to_hold_from_another_instant() -> None:
    changed = replace(CONTRACT, version=4, effective_from=LATER)
    assert next_version(changed, CONTRACT, None, LATER) is None
    assert next_version(changed, CONTRACT, LATER, LATER) is None
    again = next_version(changed, CONTRACT, START, LATER)
    assert again is not None
    assert (again.version, again.effective_from) == (5, START)


def test_a_contract_ends_after_it_begins() -> None:
    with pytest.raises(ContractEndsBeforeItBegins, match="acme-2026"):
        next_version(None, replace(CONTRACT, valid_until=START), None, LATER)


def test_a_contract_stays_with_its_client() -> None:
    with pytest.raises(ContractOfAnotherClient, match="belongs to acme"):
        next_version(CONTRACT, replace(CONTRACT, client_id="otra"), None, LATER)


def test_all_versions_are_told_together_and_neither_warnings_nor_money_are() -> None:
    told = contract_recorded([CONTRACT, replace(CONTRACT, version=2, effective_from=LATER)])
    assert [(one.version, one.effective_from) for one in told.versions] == [(1, START), (2, LATER)]
    assert set(told.versions[0].terms.model_dump()) == {
        "targets", "pausing_holds", "reporting_calendar", "reopen_days", "objection_days",
    }  # fmt: skip
