"""What callers state in JSON, taken only in the form that the description gives: instants, whole numbers, names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from shared.contracts.envelope import FIRST_YEAR, LAST_YEAR

_FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_BEYOND = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


def _require_text(value: Any) -> Any:
    # pydantic takes 1764000000, "1764000000" and "1.764e9" for seconds, and larger ones for milliseconds.
    if isinstance(value, int | float) or (isinstance(value, str) and _is_number(value)):
        raise PydanticCustomError("instant_as_number", "an instant as a text")
    return value


def _is_number(words: str) -> bool:
    try:
        float(words)
    except ValueError:
        return False
    return True


def _require_near(value: datetime) -> datetime:
    if not _FIRST <= value < _BEYOND:
        years = {"first": FIRST_YEAR, "last": LAST_YEAR}
        raise PydanticCustomError("instant_out_of_range", "an instant of the years {first} to {last}", years)
    return value


def _require_number(value: Any) -> Any:
    # pydantic takes true for 1 and "2" for 2.
    if isinstance(value, bool | str | bytes):
        raise PydanticCustomError("int_type", "a whole number")
    return value


# An instant with its offset, of the years 1970 to 2199.
Instant = Annotated[AwareDatetime, BeforeValidator(_require_text), AfterValidator(_require_near)]

# For Annotated[int, Field(...), AS_NUMBER], in this order, or the bounds would not be described: neither a text nor a
# truth value is one.
AS_NUMBER = BeforeValidator(_require_number)

# One line of text without control characters and with something to see: what reference data hold is names, not prose.
_LETTER = r"[^\x00-\x1f\x7f-\x9f]"
Line = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=rf"^{_LETTER}*[^\s\x00-\x1f\x7f-\x9f]{_LETTER}*$"
    ),
]
