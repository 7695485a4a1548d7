"""Named parameters become PostgreSQL's own, and statements that belong together become one."""

from __future__ import annotations

import pytest
from sqlalchemy import literal, select

from shared.db.statement import Statement, composed, joined, query, sql


def test_each_name_has_one_place_however_often_it_is_said() -> None:
    made = sql("SELECT :a + :b, CAST(:a AS text), 'at 10:30', '50 %', x::int FROM t WHERE c = :b")
    assert made.text == "SELECT $1 + $2, CAST($1 AS text), 'at 10:30', '50 %', x::int FROM t WHERE c = $2"
    assert made.names == ("a", "b")
    assert made.arguments({"b": 2, "a": 1, "more": 3}) == [1, 2]


def test_a_parameter_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="a"):
        sql("SELECT :a").arguments({"b": 1})


def test_only_what_says_so_is_plain() -> None:
    assert query("SELECT 1").plain
    assert not sql("SELECT 1").plain


def test_pieces_keep_their_parameters_apart_when_they_are_joined() -> None:
    made = joined(
        [
            sql("INSERT INTO a VALUES (:x, :y) RETURNING id", called="stored"),
            sql("UPDATE b SET y = :y WHERE x = :x"),
            sql("INSERT INTO c SELECT id, :x FROM stored"),
        ]
    )
    assert made.text == (
        "WITH stored AS (INSERT INTO a VALUES ($1, $2) RETURNING id), part_1 AS (UPDATE b SET y = $3 WHERE x = $4) "
        "INSERT INTO c SELECT id, $5 FROM stored"
    )
    assert made.names == ("x", "y", "y", "x", "x")


def test_one_piece_stays_as_it_is() -> None:
    piece = sql("DELETE FROM a")
    assert joined([piece]) is piece


def test_the_same_words_are_the_same_statement() -> None:
    assert sql("SELECT :a") is sql("SELECT :a")
    assert sql("DELETE FROM a", called="x") is not sql("DELETE FROM a", called="y")


@pytest.mark.parametrize(
    ("words", "table"),
    [
        ("INSERT INTO a.b (c) VALUES (1)", "a.b"),
        ("\n    UPDATE a.b SET c = 1", "a.b"),
        ("delete from  b WHERE c IN (SELECT 1 FROM d)", "b"),
        ("MERGE INTO a.b USING d ON d.id = b.id WHEN MATCHED THEN DELETE", "a.b"),
        ("merge into only  b USING d ON true WHEN NOT MATCHED THEN DO NOTHING", "b"),
        ("UPDATE ONLY a.b SET c = 1", "a.b"),
        ("DELETE FROM ONLY b", "b"),
        ("SELECT 1 FROM a.b", None),
    ],
)
def test_a_statement_knows_the_table_that_it_changes(words: str, table: str | None) -> None:
    assert sql(words).table == table


@pytest.mark.parametrize(
    "words",
    [
        "SELECT 1 FROM a FOR UPDATE",
        "SELECT 1 FROM a for no key update of a",
        "SELECT 1 FROM a FOR KEY SHARE",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_notify('a', '')",
    ],
)
def test_what_locks_is_no_query(words: str) -> None:
    with pytest.raises(ValueError, match="needs its transaction"):
        query(words)


def test_a_composed_select_that_locks_is_not_plain() -> None:
    assert composed(select(literal(1)))[0].plain
    assert not composed(select(literal(1)).with_for_update())[0].plain


@pytest.mark.parametrize("place", [0, 1])
def test_a_piece_with_a_with_of_its_own_is_refused(place: int) -> None:
    pieces: list[Statement] = [sql("DELETE FROM a")]
    pieces.insert(place, sql("\n  with\nx as (DELETE FROM b) DELETE FROM c"))
    with pytest.raises(ValueError, match="no WITH inside a WITH"):
        joined(pieces)
