"""Instants, whole numbers and names as callers state them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from shared.stated import AS_NUMBER, Instant, Line


class Stated(BaseModel):
    """A body with both."""

    at: Instant = datetime(2026, 1, 1, tzinfo=UTC)
    number: Annotated[int, Field(ge=1, le=4), AS_NUMBER] = 1
    name: Line = "x"


@pytest.mark.parametrize("given", ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "2026-11-02T14:03:00-03:00"])
def test_an_instant_of_these_years_is_taken(given: str) -> None:
    assert Stated.model_validate({"at": given}).at == datetime.fromisoformat(given)


def test_an_instant_of_a_file_is_taken() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert Stated.model_validate({"at": at}).at == at


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("0001-01-01T00:00:00Z", "instant_out_of_range"),
        ("0001-01-01T00:00:00+14:00", "instant_out_of_range"),
        ("9999-12-31T23:59:59-12:00", "instant_out_of_range"),
        ("1969-12-31T23:59:59Z", "instant_out_of_range"),
        ("2200-01-01T00:00:00Z", "instant_out_of_range"),
        (1764000000, "instant_as_number"),
        (1764000000000.5, "instant_as_number"),
        ("1764000000", "instant_as_number"),
        ("1764000000.5", "instant_as_number"),
        (" 1.764e9", "instant_as_number"),
        ("-1", "instant_as_number"),
        (True, "instant_as_number"),
        ("2026-11-02T14:03:00", "timezone_aware"),
    ],
)
def test_another_instant_is_refused(given: Any, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Stated.model_validate({"at": given})
    assert [error["type"] for error in refused.value.errors()] == [code]


@pytest.mark.parametrize("given", [True, False, "2", b"2"])
def test_what_is_no_number_is_no_whole_number(given: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Stated.model_validate({"number": given})
    assert [error["type"] for error in refused.value.errors()] == ["int_type"]


def test_the_bounds_of_a_whole_number_are_described() -> None:
    described = Stated.model_json_schema()["properties"]["number"]
    assert (described["minimum"], described["maximum"]) == (1, 4)
    assert Stated.model_validate({"number": 2.0}).number == 2


@pytest.mark.parametrize("given", ["a", " a ", "ñ\u0301", "a\u200bb", "🫩", "1", "…"])
def test_a_name_of_which_something_can_be_seen_is_taken(given: str) -> None:
    assert Stated.model_validate({"name": given}).name == given.strip()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "string_too_short"),
        (" \u2003 ", "string_too_short"),
        ("a" * 201, "string_too_long"),
        ("a\tb", "tabulator"),
        ("a\x1bb", "control_characters"),
        *[(f"a{end}b", "one_line") for end in ("\n", "\r", "\x85", "\u2028", "\u2029")],
        *[(blank, "blank_text") for blank in ("\u200b", "\u00ad", "\u0301", "\u3164", "\u2800", "\u200b \u2060")],
    ],
)
def test_a_name_that_is_none_is_refused(given: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Stated.model_validate({"name": given})
    assert [error["type"] for error in refused.value.errors()] == [code]
