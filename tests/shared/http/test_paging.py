"""Cursors: what goes in comes out, and anything else is refused with words that help."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.paging import InvalidCursor, Keyset
from shared.http.routers import modules_of
from shared.spelling import LONGEST_SORT_KEY, sort_key
from tests.rules.source import SERVICES
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import NOTES, sample_app

AT = datetime(2026, 11, 2, 14, 3, 0, 123456, tzinfo=UTC)
ID = UUID(int=7)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), TEXTS, NUMBERS, st.booleans())
def test_a_cursor_gives_back_the_values_of_its_row(at: datetime, id: UUID, text: str, number: int, flag: bool) -> None:
    keyset = Keyset("all", datetime, UUID, str, int, bool)
    assert keyset.start(keyset.cursor(at, id, text, number, flag)) == (at, id, text, number, flag)


def test_no_cursor_is_the_first_page() -> None:
    assert NOTES.start(None) is None


def test_a_cursor_can_stand_in_an_address_as_it_is() -> None:
    assert set(NOTES.cursor(AT, ID)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


GOOD = ["2026-11-02T14:03:00Z", str(ID)]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not base64!",
        "ñ",
        "a" * 2000,
        encoded([]),
        encoded(None),
        encoded({}),
        encoded({"v": 1, "k": "notes"}),
        encoded({"v": 1, "k": "tickets", "a": GOOD}),
        encoded({"v": 2, "k": "notes", "a": GOOD}),
        encoded({"v": 1, "k": "notes", "a": GOOD[:1]}),
        encoded({"v": 1, "k": "notes", "a": [*GOOD, "more"]}),
        encoded({"v": 1, "k": "notes", "a": ["yesterday", str(ID)]}),
        encoded({"v": 1, "k": "notes", "a": ["2026-11-02T14:03:00", str(ID)]}),
        encoded({"v": 1, "k": "notes", "a": ["0001-01-01T00:00:00+14:00", str(ID)]}),
        encoded({"v": 1, "k": "notes", "a": ["9999-12-31T23:59:59-14:00", str(ID)]}),
        encoded({"v": 1, "k": "notes", "a": [GOOD[0], "; DROP TABLE tickets"]}),
        encoded({"v": 1, "k": "notes", "a": {"0": GOOD[0]}}),
        base64.urlsafe_b64encode(b"[" * 700).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe\x00").decode(),
        NOTES.cursor(AT, ID)[:-3],
        Keyset("tickets", datetime, UUID).cursor(AT, ID),
    ],
)
def test_a_cursor_that_this_list_did_not_give_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="leave `after` out"):
        NOTES.start(cursor)


def test_the_page_before_the_last_says_where_the_next_begins() -> None:
    numbers = Keyset("numbers", int)
    first = numbers.page([1, 2, 3], 2, lambda number: (number,))
    assert (first.items, first.limit) == ([1, 2], 2)
    assert numbers.start(first.next) == (2,)
    last = numbers.page([3, 4], 2, lambda number: (number,))
    assert (last.items, last.next) == ([3, 4], None)
    assert numbers.page([], 2, lambda number: (number,)).next is None


async def test_a_route_pages_and_refuses_a_foreign_cursor(issuer: LocalIssuer) -> None:
    async with client_of(sample_app(issuer.url), issuer.token()) as client:
        first = await client.get("/v1/notes")
        page = await client.get("/v1/notes", params={"after": NOTES.cursor(AT, ID), "limit": 3})
        foreign = await client.get("/v1/notes", params={"after": "nonsense"})
    assert first.json() == {"items": [], "next": None, "limit": 50}
    assert page.json() == {"items": ["2026-11-02 14:03:00.123456+00:00", str(ID)], "next": None, "limit": 3}
    assert (foreign.status_code, foreign.json()["code"]) == (422, "invalid-cursor")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many", "1" * 5000])
async def test_a_limit_outside_the_bounds_is_refused(issuer: LocalIssuer, limit: str) -> None:
    async with client_of(sample_app(issuer.url), issuer.token()) as client:
        assert (await client.get(f"/v1/notes?limit={limit}")).status_code == 422


@pytest.mark.parametrize("value", [2**63, -(2**63), 10**400, "a\0b", "\ud800"])
def test_a_cursor_with_what_no_column_holds_is_refused(value: int | str) -> None:
    """Anybody may write one; the database would answer with an error of ours."""
    keyset = Keyset("rows", type(value))
    with pytest.raises(InvalidCursor):
        keyset.start(encoded({"v": 1, "k": "rows", "a": [value]}))


KEYSETS = [
    each
    for service in SERVICES
    for module in modules_of(import_module(f"{service}.api"))
    for each in vars(module).values()
    if isinstance(each, Keyset)
]
# What a sort key may hold, the longest included.
SORT_KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(sort_key),
    st.sampled_from(["\U00010428", "\ufdfa", "\uac01", "\U0001f9ff", '"', "\\", "z"]).map(
        lambda sign: sort_key(sign * 200)
    ),
    st.just("\U00010428" * LONGEST_SORT_KEY),
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: SORT_KEYS,
    int: st.sampled_from([-(2**63) + 1, 2**63 - 1]) | NUMBERS,
    datetime: st.datetimes(timezones=st.just(UTC)),
    UUID: st.uuids(),
    type(None): st.none(),
}


def rows_of(keyset: Keyset) -> st.SearchStrategy[tuple[Any, ...]]:
    """Any values that a row of the list may be sorted by."""
    columns = [st.one_of(*(VALUES[kind] for kind in get_args(each) or (each,))) for each in keyset.types]
    return st.tuples(*columns)


@pytest.mark.parametrize("keyset", KEYSETS, ids=lambda keyset: keyset.name)
async def test_every_cursor_that_a_list_gives_out_it_takes(keyset: Keyset, issuer: LocalIssuer) -> None:
    assert len(KEYSETS) >= 8

    @given(rows_of(keyset))
    def round_trip(row: tuple[Any, ...]) -> None:
        assert keyset.start(keyset.cursor(*row)) == row

    round_trip()


def test_a_list_sorted_by_more_than_a_cursor_holds_is_not_made() -> None:
    Keyset("one", str, str)
    with pytest.raises(ValueError, match="three: a cursor of it may be too long"):
        Keyset("three", str, str, str)


async def test_the_longest_cursor_passes_the_check_of_the_parameter(issuer: LocalIssuer) -> None:
    cursor = Keyset("two", str, str).cursor("\U00010428" * LONGEST_SORT_KEY, "\U00010428" * LONGEST_SORT_KEY)
    async with client_of(sample_app(issuer.url), issuer.token()) as client:
        answer = await client.get("/v1/notes", params={"after": cursor})
    # It was read: it is only of another list.
    assert answer.json()["code"] == "invalid-cursor"
