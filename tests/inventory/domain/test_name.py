"""How names are compared and sorted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.name import name_key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Distribuidora  Ñanduay S.R.L. ", "distribuidora nanduay s.r.l."),
        ("Óptica Mirasol", "optica mirasol"),
        ("YERBATERA TAPÉ PYTÁ", "yerbatera tape pyta"),
    ],
)
def test_accents_capitals_and_spaces_do_not_matter(name: str, key: str) -> None:
    assert name_key(name) == key


@given(st.text(max_size=50))
def test_the_key_of_a_key_is_the_key_itself(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)
