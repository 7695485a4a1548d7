"""The number of a ticket: written in one way, and read however people type it."""

from __future__ import annotations

import re

# The same for a description, which knows no flags.
SPELT = r"^([Tt][-. ]?)?[0-9]{1,12}$"
_SPELT = re.compile(SPELT)


def number_of(count: int) -> str:
    """How the ticket with this number is called: `T-000042`."""
    return f"T-{count:06d}"


def number_in(text: str) -> str | None:
    """`42`, `t-42`, `T 42` and `T-000042` are the same number to whoever types it; None for what is no number."""
    spelt = text.strip()
    return number_of(int(spelt.lstrip("Tt-. "))) if _SPELT.match(spelt) else None
