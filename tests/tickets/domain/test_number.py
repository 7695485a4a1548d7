"""A number is read however people type it, and written in one way."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.domain.number import SPELT, number_in, number_of


@given(
    count=st.integers(min_value=0, max_value=999_999_999),
    letter=st.sampled_from(["", "t", "T", "t-", "T-", "T ", "t.", "T."]),
    zeros=st.integers(min_value=0, max_value=3),
    around=st.sampled_from(["", " ", "\t"]),
)
def test_a_number_is_the_same_in_any_spelling(count: int, letter: str, zeros: int, around: str) -> None:
    assert number_in(f"{around}{letter}{'0' * zeros}{count}{around}") == number_of(count)


@given(count=st.integers(min_value=0, max_value=10**12 - 1))
def test_what_is_written_is_read_and_as_long_as_on_the_telephone(count: int) -> None:
    written = number_of(count)
    assert number_in(written) == written
    assert re.fullmatch(r"T-[0-9]{6,12}", written)
    assert int(written[2:]) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T-",
        "T",
        "t--42",
        "-42",
        "4 2",
        "42a",
        "T-42-1",
        "x42",
        "4.2",
        "٤٢",
        "1" * 13,
        "0199a3f2-4c1b-7d11-9f5e-6a0c",
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_in(text) is None
    assert re.search(SPELT, text) is None
