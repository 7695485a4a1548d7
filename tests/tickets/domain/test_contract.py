"""What a contract promises for severity 1, which decides how urgent its client is."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.sla import TargetRule
from tickets.domain.contract import promised_s1_seconds


def rule(seconds: int, **narrowed: Any) -> TargetRule:
    """A target of the resolution, unless it says otherwise."""
    usual: dict[str, Any] = {"clock": "resolution", "seconds": seconds, "calendar_id": "comercial"}
    return TargetRule(**(usual | narrowed))


@pytest.mark.parametrize(
    ("rules", "promised"),
    [
        ([], None),
        ([rule(900, clock="response")], None),
        ([rule(14_400, severities=(1,)), rule(99, severities=(2, 3))], 14_400),
        # The least of what the priorities have.
        ([rule(14_400, severities=(1,), priorities=(2,)), rule(7200, severities=(1, 2), priorities=(1,))], 7200),
        # What names the severity comes before what is for all of them, also where it is longer.
        ([rule(7200), rule(14_400, severities=(1,))], 14_400),
        ([rule(7200)], 7200),
        # The kind comes before the severity, and a priority that is named before none.
        ([rule(14_400, severities=(1,)), rule(28_800, kinds=("incident",))], 28_800),
        ([rule(7200, severities=(1,)), rule(14_400, severities=(1,), priorities=(1, 2, 3, 4))], 14_400),
        # Of equals the first: what a contract says itself stands before what its type says, also where it is longer.
        ([rule(21_600, severities=(1,)), rule(14_400, severities=(1,))], 21_600),
        # Questions are no incidents, and what is for some products is not for the others.
        ([rule(60, severities=(1,), kinds=("question",)), rule(900, severities=(1,), kinds=("incident",))], 900),
        ([rule(60, severities=(1,), product_ids=("kontar",)), rule(60, severities=(1,), module_ids=("iva",))], None),
    ],
)  # fmt: skip
def test_the_least_that_is_promised_for_any_incident_of_severity_1_counts(
    rules: list[TargetRule], promised: int | None
) -> None:
    assert promised_s1_seconds(rules) == promised
