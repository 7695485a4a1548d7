"""Targets are complete and sensible, a contract is in force or not, and equal contracts are equal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.contracts.sla import PromisedTarget
from sla.domain.contract import (
    BadWarnings,
    Contract,
    ContractEndsBeforeItBegins,
    ContractOfAnotherClient,
    Promises,
    Warnings,
    next_version,
)
from sla.domain.target import IncompleteTargets, ResponseAfterResolution, complete_targets, seconds_for

START = datetime(2026, 1, 1, 3, tzinfo=UTC)
TARGETS = tuple(
    PromisedTarget(severity=severity, response_seconds=600 * severity, resolution_seconds=6000 * severity)
    for severity in (1, 2, 3, 4)
)
PROMISES = Promises(TARGETS, ("agreed-date", "waiting-for-client"), Warnings((50, 80), (50, 75, 90)))
CONTRACT = Contract("acme-2026", 1, "acme", "oro", START, None, PROMISES)


def test_targets_come_in_the_order_of_severity() -> None:
    assert complete_targets(reversed(TARGETS)) == TARGETS


def test_a_missing_severity_is_named() -> None:
    with pytest.raises(IncompleteTargets, match="S3 has no target"):
        complete_targets([target for target in TARGETS if target.severity != 3])


def test_a_doubled_severity_is_named() -> None:
    with pytest.raises(IncompleteTargets, match="S2 has more than one"):
        complete_targets([*TARGETS, TARGETS[1]])


def test_a_response_after_the_resolution_is_refused_with_both_numbers() -> None:
    wrong = PromisedTarget(severity=4, response_seconds=7201, resolution_seconds=7200)
    with pytest.raises(ResponseAfterResolution, match=r"S4 .* 7201 s .* 7200 s"):
        complete_targets([*TARGETS[:3], wrong])


def test_a_response_at_the_resolution_is_allowed() -> None:
    equal = PromisedTarget(severity=4, response_seconds=7200, resolution_seconds=7200)
    assert complete_targets([*TARGETS[:3], equal])[3] == equal


def test_each_clock_has_its_target_and_a_question_has_those_of_s4() -> None:
    assert seconds_for(TARGETS, "response", "incident", 2) == 1200
    assert seconds_for(TARGETS, "resolution", "incident", 2) == 12_000
    assert seconds_for(TARGETS, "resolution", "question", 1) == 24_000


def test_first_response_never_pauses_whatever_the_contract_says() -> None:
    assert PROMISES.terms_of("response", "incident", 1).pausing_holds == frozenset()
    assert PROMISES.terms_of("resolution", "incident", 1).pausing_holds == {"agreed-date", "waiting-for-client"}


def test_percentages_become_seconds_on_the_way_to_the_target_of_each_clock() -> None:
    terms = PROMISES.terms_of("response", "incident", 2)
    assert [(one.seconds, one.said_as) for one in terms.thresholds] == [(600, "50%"), (960, "80%")]
    terms = PROMISES.terms_of("resolution", "question", 1)
    assert [(one.seconds, one.said_as) for one in terms.thresholds] == [
        (12_000, "50%"),
        (18_000, "75%"),
        (21_600, "90%"),
    ]


@pytest.mark.parametrize("percents", [(0,), (100,), (50, 50)])
def test_warnings_are_different_percentages_below_a_hundred(percents: tuple[int, ...]) -> None:
    wanted = replace(CONTRACT, promises=replace(PROMISES, warnings=Warnings(percents, (50,))))
    with pytest.raises(BadWarnings, match="response"):
        next_version(None, wanted)


def test_the_same_contract_in_another_order_is_no_new_version() -> None:
    shuffled = Promises(TARGETS[::-1], ("waiting-for-client", "agreed-date"), Warnings((80, 50), (90, 50, 75)))
    before = replace(CONTRACT, product_ids=("factela", "kontar"))
    same = replace(CONTRACT, promises=shuffled, product_ids=("kontar", "factela", "kontar"))
    assert next_version(before, same) is None


def test_a_different_contract_is_the_next_version() -> None:
    changed = next_version(replace(CONTRACT, version=3), replace(CONTRACT, contract_type="plata"))
    assert changed is not None
    assert (changed.version, changed.contract_type) == (4, "plata")


def test_a_contract_ends_after_it_begins() -> None:
    with pytest.raises(ContractEndsBeforeItBegins, match="acme-2026"):
        next_version(None, replace(CONTRACT, valid_until=START))


def test_a_contract_stays_with_its_client() -> None:
    with pytest.raises(ContractOfAnotherClient, match="belongs to acme"):
        next_version(CONTRACT, replace(CONTRACT, client_id="otra"))
