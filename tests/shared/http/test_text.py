"""Text as callers write it: stripped, with plain line breaks, and with something in it that can be seen."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


@pytest.mark.parametrize(
    ("title", "read"), [("  a ", "a"), ("a\tb", "a\tb"), ("ñandú", "ñandú"), ("a" * 20 + " ", "a" * 20)]
)
async def test_clean_text_is_stripped(issuer: LocalIssuer, app: FastAPI, title: str, read: str) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", json={"title": title})).json()["title"] == read


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ({"title": "   "}, "string-too-short"),
        ({"title": "a" * 21}, "string-too-long"),
        ({"title": "a\x1bb"}, "control-characters"),
        ({"title": "a\x84b"}, "control-characters"),
        *[({"title": f"a{end}b"}, "one-line") for end in ("\n", "\r", "\r\n", "\x85", "\u2028", "\u2029")],
        ({"title": "a", "text": "a\x07b"}, "control-characters"),
    ],
)
async def test_text_that_is_not_clean_is_refused(
    issuer: LocalIssuer, app: FastAPI, note: dict[str, str], code: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", json=note)
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == [code]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x85", "\u2028", "\u2029"])
async def test_line_breaks_of_every_kind_become_plain_ones(issuer: LocalIssuer, app: FastAPI, end: str) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.post("/v1/notes", json={"title": "a", "text": f"one{end}two\n{end}\tthree{end}"})
    assert answer.json()["text"] == "one\ntwo\n\n\tthree"


BLANK = {
    "zero-width spaces": "\u200b\u200c\u200d\u2060\ufeff",
    "a soft hyphen": "\u00ad",
    "directions": "\u200e\u202e\u2066",
    "accents over nothing": "\u0301\u0302\u20dd",
    "a variation of nothing": "\ufe0f\U000e0100",
    "tags": "\U000e0041\U000e007f",
    "fillers of Hangul": "\u115f\u1160\u3164\uffa0",
    "empty Braille": "\u2800",
    "a note without a head": "\U0001d159",
    "vowels of Khmer that are not shown": "\u17b4\u17b5",
    "a grapheme joiner": "\u034f",
    "what nobody may assign": "\ufffe\ufdd0\U0010ffff",
    "what is private": "\ue000",
    "spaces of all sizes among them": "\u200b \u2003\u3000\u00a0\u200b",
}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
async def test_text_of_which_nothing_can_be_seen_is_no_text(issuer: LocalIssuer, app: FastAPI, text: str) -> None:
    async with client_of(app, issuer.token()) as client:
        for name in ("title", "text"):
            answer = await client.post("/v1/notes", json={"title": "a", name: text})
            assert answer.status_code == 422, text.encode("unicode_escape")
            (error,) = answer.json()["errors"]
            assert (error["pointer"], error["code"]) == (f"#/{name}", "blank-text")
            assert "can be seen" in error["message"]
            # Beside something that is there they are nobody's mistake.
            assert (await client.post("/v1/notes", json={"title": "a", name: f"ñ{text}"})).status_code == 201
        empty = await client.post("/v1/notes", json={"title": "a", "remark": text})
        assert (empty.status_code, empty.json()["remark"]) == (201, "")


@pytest.mark.parametrize("text", ["a", "7", "¿?", "😀", "नि", "ﷺ", "한", "€", "\u20dda", "👩\u200d💻"])
async def test_text_of_which_anything_can_be_seen_is_taken_as_it_is(
    issuer: LocalIssuer, app: FastAPI, text: str
) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.post("/v1/notes", json={"title": text})).json()["title"] == text
