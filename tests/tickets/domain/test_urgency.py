"""Severity from the impact, priority from the client's conditions, and what is attended at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tickets.domain.urgency import (
    Impact,
    KnownContract,
    UrgencyNotStated,
    assess,
    needs_immediate_attention,
    priority_of,
    severity_of,
)

NOW = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)
HOUR = 3600


def contract(contract_type: str, *, s1: int | None = None, start: int = -30, end: int | None = None) -> KnownContract:
    until = NOW + timedelta(days=end) if end is not None else None
    return KnownContract(contract_type, NOW + timedelta(days=start), until, s1)


# The customer's table, typed again by hand: who is stopped, then what is lost from worst to nothing.
@pytest.mark.parametrize(
    ("operational", "severities"), [(1, "1122"), (2, "1223"), (3, "2334"), (4, "3344"), (None, "2334")]
)
def test_severity_follows_the_matrix_and_no_se_counts_as_three(operational: int | None, severities: str) -> None:
    found = "".join(str(severity_of(Impact(operational, economic))) for economic in (1, 2, 3, 4))
    assert found == severities
    assert severity_of(Impact(operational, None)) == severity_of(Impact(operational, 3))


def test_a_severity_that_rests_on_no_se_is_to_be_reviewed() -> None:
    assert assess(None, Impact(1, None)) == (2, True)
    assert assess(None, Impact(1, 3)) == (2, False)
    assert assess(4, None) == (4, False)


@pytest.mark.parametrize(("severity", "impact"), [(None, None), (1, Impact(1, 1))])
def test_the_urgency_is_stated_exactly_once(severity: int | None, impact: Impact | None) -> None:
    with pytest.raises(UrgencyNotStated, match="either severity"):
        assess(severity, impact)


@pytest.mark.parametrize(
    ("tier", "contracts", "priority"),
    [
        ("platino", [contract("platino")], 1),
        ("oro", [contract("oro")], 2),
        ("plata", [contract("plata")], 3),
        ("basico", [contract("basico")], 4),
        ("oro", [contract("oro", s1=4 * HOUR)], 1),
        ("oro", [contract("oro", s1=4 * HOUR + 1)], 2),
        ("basico", [contract("basico", s1=HOUR)], 1),
        ("platino", [], 4),
        ("platino", [contract("platino", end=-1)], 4),
        ("platino", [contract("platino", end=0)], 4),
        ("platino", [contract("platino", start=1)], 4),
        ("oro", [contract("platino", end=-1), contract("oro")], 2),
        ("plata", [contract("plata"), contract("oro")], 2),
        ("platino", [contract("plata")], 1),
        # Codes are open: a tier or a type that this release does not know asks for nothing by itself.
        ("diamante", [contract("plata")], 3),
        ("diamante", [contract("diamante")], 4),
        ("diamante", [contract("diamante", s1=HOUR)], 1),
    ],
)
def test_priority_follows_the_conditions_of_the_client(
    tier: str, contracts: list[KnownContract], priority: int
) -> None:
    assert priority_of(tier, contracts, NOW) == priority


def test_only_p1_s1_is_attended_at_once() -> None:
    immediate = {(s, p) for s in range(1, 5) for p in range(1, 5) if needs_immediate_attention(s, p)}
    assert immediate == {(1, 1)}
