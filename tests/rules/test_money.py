"""Who may see money: written here by hand, so that nobody is added to the table in passing."""

from __future__ import annotations

from shared.http.permissions import PERMISSIONS, PERMISSIONS_OF, ROLES, permissions_of

MAY_SEE_MONEY = {"supervisor", "billing", "auditor"}


def test_exactly_three_roles_may_see_money() -> None:
    assert {role for role in ROLES if "money:read" in PERMISSIONS_OF[role]} == MAY_SEE_MONEY


def test_all_other_roles_together_may_not() -> None:
    assert "money:read" not in permissions_of(set(ROLES) - MAY_SEE_MONEY)


def test_money_has_one_permission_that_is_for_reading() -> None:
    assert [each for each in PERMISSIONS if each.startswith("money:")] == ["money:read"]
