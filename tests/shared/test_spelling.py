"""Names in the form in which they are compared: one spelling is as good as another, stored or asked for."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.spelling import LONGEST_SORT_KEY, search_key, search_words, sort_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Distribuidora  Ñanduay S.R.L. ", "distribuidora nanduay srl"),
        (" AGÜERO\tHnos. ", "aguero hnos"),
        ("YERBATERA TAPÉ PYTÁ", "yerbatera tape pyta"),
        ("Straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("O'Higgins", "ohiggins"),
        ("O\u2019Higgins", "ohiggins"),
        ("O\u00b4Higgins", "ohiggins"),
        ("Alto-Paraná", "alto parana"),
        ("López & Hijos", "lopez hijos"),
        ("Bjørn Łukasz Æther", "bjorn lukasz aether"),
        ("Co\u00adope\u200brativa", "cooperativa"),
        ("n\u0303andu\u0301", "nandu"),
        ("\ufb01nca", "finca"),
        ("İstanbul", "istanbul"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("100 %", "100"),
        ("+++", "+++"),
        ("«…»", "«»"),
        ("", ""),
        ("\u200b", ""),
    ],
)
def test_a_name_is_sorted_without_accents_capitals_and_punctuation(name: str, key: str) -> None:
    assert sort_key(name) == key


@pytest.mark.parametrize(
    "spellings",
    [
        ("S.R.L.", "SRL", "s r l", "S. R. L."),
        ("A.F.I.P.", "AFIP", "afip"),
        ("O'Higgins", "OHiggins", "O\u2019HIGGINS", "o higgins"),
        ("30-71234567-8", "30712345678", "30.71234567.8", "30 71234567 8"),
        ("J-12345678-9", "j123456789"),
        ("Ñandú", "NANDU", "n\u0303andu\u0301"),
        ("Weiß", "WEISS", "weiss"),
    ],
)
def test_all_spellings_of_a_name_are_one_in_a_search(spellings: tuple[str, ...]) -> None:
    assert len({search_key(one) for one in spellings}) == 1


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("  Alto-Paraná  S.A. ", ["altoparana", "sa"]),
        ("lópez & hijos", ["lopez", "hijos"]),
        ("30-71234567-8", ["30712345678"]),
        ("%", ["%"]),
        ("+ +", ["++"]),
        ("", []),
        (" \u200b ", []),
    ],
)
def test_a_question_is_looked_for_word_by_word(question: str, words: list[str]) -> None:
    assert search_words(question) == words


@given(TEXTS)
@example("\u0345a")
@example("ŀl")
@example("\u3164x")
@example("\ufffe\r\U00018d09")
def test_the_key_of_a_key_is_the_key_itself(text: str) -> None:
    assert sort_key(sort_key(text)) == sort_key(text)
    assert search_key(search_key(text)) == search_key(text)


@given(TEXTS)
def test_a_search_key_is_the_sort_key_without_its_spaces(text: str) -> None:
    if len(search_key(text)) < LONGEST_SORT_KEY // 2:
        assert sort_key(text).replace(" ", "") == search_key(text)


@given(TEXTS)
def test_whoever_writes_all_capitals_or_composes_otherwise_finds_the_same(text: str) -> None:
    for other in (
        text.upper(),
        text.casefold(),
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFC", text),
    ):
        if other.casefold() == text.casefold() or unicodedata.normalize("NFC", other) == text:
            assert search_key(other) == search_key(text)


@given(TEXTS)
def test_every_word_of_a_name_finds_it(text: str) -> None:
    key = search_key(text)
    assert all(word in key for word in search_words(text))


def test_a_sort_key_has_a_bound_whatever_the_name_unfolds_to() -> None:
    """An entry of an index and a cursor must hold it: PostgreSQL takes 2,704 bytes, a cursor less."""
    signs = (chr(number) for number in range(sys.maxunicode + 1) if not 0xD800 <= number <= 0xDFFF)
    unfolding = [sign for sign in signs if len(unicodedata.normalize("NFKD", sign.casefold())) > 2]
    widest = sorted(unfolding, key=lambda sign: -len(search_key(sign).encode()))[:50]
    keys = [sort_key(sign * 200) for sign in [*widest, "\U00010400", "\U0001f9ff", '"', "ñ"]]
    assert max(map(len, keys)) == LONGEST_SORT_KEY
    assert max(len(json.dumps(key, ensure_ascii=False).encode()) for key in keys) <= 4 * LONGEST_SORT_KEY + 2
