"""Answers that PostgreSQL writes: what follows from the fields of a view, and what is given by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import create_model

from shared.db.statement import sql
from tests.support.databases import Database
from tickets.queries.written import View, array_of, literal, object_of, spliced


class Shown(View):
    """Two columns and something that is worked out."""

    number: int
    name: str
    twice: int


_ROWS = "(VALUES (1, 'uno'), (2, 'dos')) r (number, name)"


async def test_a_field_is_the_column_of_its_name_or_what_is_given_by_hand(desk: Database) -> None:
    written = array_of(object_of(Shown, "r", twice="r.number * 2"), "r.number DESC", _ROWS)
    async with desk.begin() as tx:
        found = json.loads(await tx.fetch_value(sql(f"SELECT {written}::text")))
        nothing = await tx.fetch_value(sql(f"SELECT {array_of('r.number', 'r.number', _ROWS + ' WHERE false')}::text"))
    assert found == [{"number": 2, "name": "dos", "twice": 4}, {"number": 1, "name": "uno", "twice": 2}]
    assert nothing == "[]"


@pytest.mark.parametrize("count", [50, 51, 120])
async def test_a_view_may_have_more_fields_than_a_function_takes_arguments(desk: Database, count: int) -> None:
    fields: dict[str, Any] = {f"f{number}": (int, ...) for number in range(count)}
    wide = object_of(create_model("Wide", __base__=View, **fields), "r", **{name: name[1:] for name in fields})
    async with desk.begin() as tx:
        found = json.loads(await tx.fetch_value(sql(f"SELECT {wide}::text FROM {_ROWS} LIMIT 1")))
    assert list(found.items()) == [(f"f{number}", number) for number in range(count)]


def test_what_is_given_by_hand_must_be_a_field() -> None:
    with pytest.raises(ValueError, match="Shown has no thrice"):
        object_of(Shown, "r", twice="1", thrice="2")
    with pytest.raises(ValueError, match="Shown has no thrice"):
        object_of(Shown, "r", left_out=("twice", "thrice"))


async def test_what_is_left_out_is_spliced_in_afterwards(desk: Database) -> None:
    written = object_of(Shown, "r", left_out=("twice",))
    async with desk.begin() as tx:
        found = await tx.fetch_value(sql(f"SELECT {written}::text FROM {_ROWS} LIMIT 1"))
    whole = Shown.model_validate_json(spliced(found, {"twice": 2}))
    assert whole == Shown(number=1, name="uno", twice=2)
    assert json.loads(spliced(found, {"más": None}))["más"] is None


async def test_a_word_is_taken_literally_whatever_signs_it_has(desk: Database) -> None:
    word = "50%_\\"
    async with desk.begin() as tx:
        found = await tx.fetch_one(
            sql("SELECT :word LIKE :pattern AS itself, '50 xx' LIKE :pattern AS another"),
            {"word": word, "pattern": literal(word)},
        )
    assert (found.itself, found.another) == (True, False)
