"""What each role may do: the one table that decides it, for every service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

Role = Literal[
    "agent", "analyst", "liaison", "implementer", "developer", "supervisor", "billing", "auditor", "admin", "machine"
]

Permission = Literal[
    "ticket:read",
    "ticket:open",
    "ticket:open-late",  # what was reported more than a day ago
    "ticket:work",
    "ticket:escalate",  # to the analysts, and anywhere on a P1/S1
    "ticket:derive",  # to the third level
    "ticket:skip-level",  # past the analysts
    "ticket:cancel",  # its clocks end with it
    "team:read",
    "team:write",  # people, teams and rotas
    "rules:write",  # schemes of urgency, categories, resolution codes
    "client:read",
    "client:write",
    "inventory:read",
    "inventory:write",
    "contract:read",
    "contract:write",
    "money:read",
    "task:read",
    "task:move",
    "task:assign",
]

ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

# Every role of the house reads what the desk works with. What a contract costs is not among it.
_READING: frozenset[Permission] = frozenset(
    {"ticket:read", "team:read", "client:read", "inventory:read", "contract:read", "task:read"}
)
_DECIDING: frozenset[Permission] = frozenset(
    {"ticket:open-late", "ticket:derive", "ticket:skip-level", "ticket:cancel"}
)
_AT_WORK: frozenset[Permission] = _READING | {"ticket:work", "ticket:escalate"}

PERMISSIONS_OF: Mapping[Role, frozenset[Permission]] = {
    "agent": _AT_WORK | {"ticket:open"},
    "analyst": _AT_WORK | {"ticket:derive", "ticket:cancel"},
    "liaison": _AT_WORK | {"ticket:derive"},
    "implementer": _READING | {"inventory:write"},
    "developer": _READING | {"task:move", "task:assign"},
    "supervisor": _AT_WORK | _DECIDING | {"ticket:open", "client:write", "money:read"},
    "billing": _READING | {"money:read"},
    "auditor": _READING | {"money:read"},
    "admin": _READING | {"team:write", "rules:write", "contract:write"},
    "machine": _READING,
}


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Everything that somebody with these roles may do. A role that is not in the table gives nothing."""
    known = [permissions for role, permissions in PERMISSIONS_OF.items() if role in roles]
    return frozenset().union(*known)
