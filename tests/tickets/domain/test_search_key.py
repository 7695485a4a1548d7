"""How names are compared."""

from __future__ import annotations

import pytest

from tickets.domain.search_key import search_key


@pytest.mark.parametrize(
    ("text", "key"),
    [("Ferretería  Ñandú", "ferreteria nandu"), (" AGÜERO\tHnos. ", "aguero hnos."), ("Straße", "strasse"), ("", "")],
)
def test_accents_capitals_and_spaces_do_not_matter(text: str, key: str) -> None:
    assert search_key(text) == key
