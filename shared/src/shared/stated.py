"""What callers state in JSON, taken only in the form that the description gives: instants, whole numbers, text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.contracts.envelope import FIRST_YEAR, LAST_YEAR
from shared.visible import has_breaks, is_blank, with_plain_breaks

_FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_BEYOND = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]")


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


def plain_text(text: str) -> str:
    """The text with its line breaks as LF. Raises PydanticCustomError for other control characters."""
    text = with_plain_breaks(text)
    if _CONTROL.search(text):
        raise PydanticCustomError("control_characters", "no control characters")
    return text


def plain_line(text: str) -> str:
    """As `plain_text`, for one line."""
    if has_breaks(text):
        raise PydanticCustomError("one_line", "one line only")
    return plain_text(text)


def seen_text(text: str) -> str:
    """The text itself. Raises PydanticCustomError when nothing of it can be seen."""
    if is_blank(text):
        raise PydanticCustomError("blank_text", "something that can be seen")
    return text


def _without_tabs(text: str) -> str:
    if "\t" in text:
        raise PydanticCustomError("tabulator", "no tabulators")
    return text


# One line of text without control characters and with something to see: what reference data hold is names, not prose.
_LETTER = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
_VISIBLE = r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029]"
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_tabs),
    AfterValidator(plain_line),
    AfterValidator(seen_text),
    # For the description alone, which cannot say all that cannot be seen; the validators say better what to do.
    Field(json_schema_extra={"pattern": f"^{_LETTER}*{_VISIBLE}{_LETTER}*$"}),
]
