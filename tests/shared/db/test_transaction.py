"""What a transaction sends, and that it does what its steps would do one by one: judged by a model without joins."""

# ruff: noqa: PT012 - that a transaction fails is seen only around all of it

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.db.engine import make_engine
from shared.db.failures import is_transient, problem_of
from shared.db.statement import query, sql
from shared.db.transaction import Transaction, UnexpectedRows, begin
from shared.telemetry.redaction import redact_text
from tests.support.databases import OWNER, Database
from tests.support.statements import round_trips

Make = Callable[[str], Awaitable[Database]]

ADD = sql("INSERT INTO public.things VALUES (:id, :name) RETURNING id", called="added")
NOTE = sql("INSERT INTO public.notes (thing) SELECT id FROM added")
RENAME = sql("UPDATE public.things SET name = :name WHERE id = :id")
REMOVE = sql("DELETE FROM public.things WHERE id = :id")
COUNT = query("SELECT count(*) FROM public.things")
ALL = query("SELECT id, name FROM public.things ORDER BY id")


@pytest.fixture
async def db(database: Make) -> Database:
    made = await database("runtime")
    async with made.connect(OWNER) as owner:
        await owner.execute(
            """
            CREATE TABLE public.things (id int PRIMARY KEY, name text);
            CREATE TABLE public.notes (thing int REFERENCES public.things, said jsonb);
            CREATE TABLE public.labels (id int PRIMARY KEY, name text);
            GRANT SELECT, INSERT, UPDATE, DELETE ON public.things, public.notes, public.labels TO PUBLIC;
            """
        )
    return made


async def test_what_waits_goes_out_as_one_statement_that_needs_no_transaction(db: Database) -> None:
    with round_trips(db.engine) as sent:
        async with db.begin() as tx:
            assert await tx.fetch_value(COUNT) == 0
            await tx.write(ADD, {"id": 1, "name": "a"})
            await tx.write(NOTE, {})
    assert [words.split()[0] for words in sent] == ["SELECT", "WITH"]
    assert await db.count("SELECT count(*) FROM public.notes WHERE thing = 1") == 1


async def test_a_transaction_begins_with_what_locks_and_ends_with_what_waits(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(ADD, {"id": 1, "name": "a"})
    with round_trips(db.engine) as sent:
        async with db.begin() as tx:
            await tx.fetch_one(sql("SELECT id FROM public.things WHERE id = 1 FOR UPDATE"))
            await tx.fetch_value(COUNT)
            await tx.write(RENAME, {"id": 1, "name": "b"})
            assert tx.begun
    assert [words.split()[0] for words in sent] == ["BEGIN", "SELECT", "SELECT", "UPDATE", "COMMIT"]


async def test_nothing_is_sent_for_nothing(db: Database) -> None:
    with round_trips(db.engine) as sent:
        async with db.begin():
            pass
    assert sent == []


async def test_what_waits_is_done_before_the_next_statement_can_miss_it(db: Database) -> None:
    async with db.begin() as tx:
        await tx.write(ADD, {"id": 1, "name": "a"})
        assert await tx.fetch_value(COUNT) == 1
        await tx.write(RENAME, {"id": 1, "name": "b"})
        await tx.write(RENAME, {"id": 1, "name": "c"})
        assert (await tx.fetch_one(ALL)).name == "c"
        await tx.write(REMOVE, {"id": 1})
        assert await tx.execute(REMOVE, {"id": 1}) == 0


async def test_two_writes_on_one_table_are_done_one_after_the_other(db: Database) -> None:
    """An INSERT and an UPDATE of the same row in one statement would lose the UPDATE without a word."""
    with round_trips(db.engine) as sent:
        async with db.begin() as tx:
            await tx.write(ADD, {"id": 1, "name": "a"})
            await tx.write(NOTE, {})
            await tx.write(RENAME, {"id": 1, "name": "b"})
    assert [words.split()[0] for words in sent] == ["BEGIN", "WITH", "UPDATE", "COMMIT"]
    async with db.engine.connect() as reader:
        assert (await reader.fetch_one(ALL)).name == "b"


async def test_who_says_that_the_rows_are_others_saves_the_round_trip(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(ADD, {"id": 1, "name": "a"})
    with round_trips(db.engine) as sent:
        async with db.begin() as tx:
            await tx.write(REMOVE, {"id": 1})
            await tx.write(ADD, {"id": 2, "name": "b"}, beside="public.things")
    assert [words.split()[0] for words in sent] == ["WITH"]
    async with db.engine.connect() as reader:
        assert [row.id for row in await reader.fetch(ALL)] == [2]


@pytest.mark.parametrize("last", ["write", "execute"])
async def test_an_error_undoes_everything_whether_it_waited_or_not(db: Database, last: str) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.begin() as tx:
            await tx.write(ADD, {"id": 1, "name": "a"})
            await tx.flush()
            await getattr(tx, last)(ADD, {"id": 1, "name": "again"})
    assert await db.count("SELECT count(*) FROM public.things") == 0


async def test_nothing_that_waits_is_done_after_an_error_of_the_caller(db: Database) -> None:
    with pytest.raises(LookupError):
        async with db.begin() as tx:
            await tx.write(ADD, {"id": 1, "name": "a"})
            raise LookupError
    assert await db.count("SELECT count(*) FROM public.things") == 0


async def test_a_savepoint_undoes_what_is_inside_and_keeps_what_waited_before(db: Database) -> None:
    async with db.begin() as tx:
        await tx.write(ADD, {"id": 1, "name": "before"})
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.savepoint():
                await tx.execute(ADD, {"id": 2, "name": "inside"})
                await tx.write(ADD, {"id": 1, "name": "twice"})
        with pytest.raises(LookupError):
            async with tx.savepoint():
                await tx.write(ADD, {"id": 3, "name": "inside"})
                raise LookupError
        await tx.write(ADD, {"id": 4, "name": "after"})
    async with db.engine.connect() as reader:
        assert [row.id for row in await reader.fetch(ALL)] == [1, 4]


async def test_rows_are_read_by_name_and_their_number_is_checked(db: Database) -> None:
    async with db.begin() as tx:
        for number in (1, 2):
            await tx.execute(ADD, {"id": number, "name": "a"})
        assert await tx.execute(sql("UPDATE public.things SET name = 'b'")) == 2
        with pytest.raises(UnexpectedRows, match="not 2"):
            await tx.fetch_one(ALL)
        with pytest.raises(UnexpectedRows, match="not 2"):
            await tx.fetch_first(ALL)
        by_name = query("""
            SELECT id, name FROM public.things
            WHERE name = :name AND id > :more_than""")
        with pytest.raises(UnexpectedRows) as caught:
            await tx.fetch_one(by_name, {"name": "b", "more_than": 40})
        assert str(caught.value) == (
            "one row was expected, not 0, of: SELECT id, name FROM public.things WHERE name = $1 AND id > $2 "
            "(given: name, more_than)"
        )
        row = await tx.fetch_first(query("SELECT id, name FROM public.things WHERE id = :id"), {"id": 1})
        assert row is not None
        assert (row.id, row["name"], dict(row)) == (1, "b", {"id": 1, "name": "b"})
        with pytest.raises(AttributeError, match="colour"):
            _ = row.colour
        assert await tx.fetch_first(query("SELECT 1 WHERE false")) is None
        assert await tx.fetch_value(query("SELECT 1 WHERE false")) is None


async def test_documents_are_written_and_read_as_what_they_mean(db: Database) -> None:
    async with db.begin() as tx:
        for said in ({"a": [1, None, "ñ"]}, '{"a": [1, null, "ñ"]}'):
            await tx.execute(sql("INSERT INTO public.notes (said) VALUES (:said)"), {"said": said})
        rows = await tx.fetch(query("SELECT said, said::text AS words FROM public.notes"))
    assert [(row.said, row.words) for row in rows] == [({"a": [1, None, "ñ"]}, '{"a": [1, null, "ñ"]}')] * 2


async def test_the_relay_is_told_after_the_commit_and_not_after_an_error(db: Database) -> None:
    seen: list[int] = []

    def hint() -> None:
        seen.append(1)

    with pytest.raises(LookupError):
        async with begin(db.engine, hint) as tx:
            tx.published = True
            raise LookupError
    async with begin(db.engine, hint):
        pass
    assert seen == []
    async with begin(db.engine, hint) as tx:
        tx.published = True
        assert seen == []
    assert seen == [1]


async def test_a_connection_is_lent_clean_after_an_error_and_a_cut(db: Database) -> None:
    engine = make_engine(db.url, application="test", pool_size=1)
    try:
        with pytest.raises(asyncpg.PostgresError):
            async with begin(engine, lambda: None) as tx:
                await tx.execute(sql("SELECT 1 / 0"))
        with pytest.raises(Exception) as caught:  # noqa: PT011  what the driver raises here depends on its timing
            async with begin(engine, lambda: None) as tx:
                await tx.execute(sql("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert is_transient(caught.value)
        async with engine.connect() as reader:
            assert await reader.fetch_value(query("SELECT 1")) == 1
    finally:
        await engine.dispose()


async def test_a_database_that_is_closed_for_maintenance_is_waited_for(db: Database) -> None:
    administrator = await asyncpg.connect(db.admin_url)
    engine = make_engine(db.url, application="test", pool_size=1)
    try:
        await administrator.execute(f'ALTER DATABASE "{db.name}" ALLOW_CONNECTIONS false')
        with pytest.raises(asyncpg.PostgresError) as refused:
            async with engine.connect():
                pass
        assert is_transient(refused.value)
        await administrator.execute(f'ALTER DATABASE "{db.name}" ALLOW_CONNECTIONS true')
        async with engine.connect() as reader:
            assert await reader.fetch_value(query("SELECT 1")) == 1
    finally:
        await administrator.close()
        await engine.dispose()


async def test_an_engine_that_was_closed_connects_no_more(db: Database) -> None:
    """A process that stops must not open connections behind its own back."""
    engine = make_engine(db.url, application="test", pool_size=1)
    async with engine.connect() as reader:
        assert await reader.fetch_value(query("SELECT 1")) == 1
    await engine.dispose()
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        async with engine.connect():
            pass


@pytest.mark.parametrize(("mode", "fails"), [("prefer", False), ("require", True)])
async def test_a_url_may_say_how_to_encrypt(db: Database, mode: str, fails: bool) -> None:
    """The server of the tests speaks no TLS: to insist on it must fail, to prefer it must not."""
    engine = make_engine(f"{db.url}?sslmode={mode}", application="test", pool_size=1)
    try:
        async with engine.connect() as reader:
            assert await reader.fetch_value(query("SELECT 1")) == 1
        refused = False
    except ConnectionError:
        refused = True
    finally:
        await engine.dispose()
    assert refused is fails


async def test_a_problem_does_not_say_what_the_statement_was_given(db: Database) -> None:
    for words, values in (
        ("SELECT CAST(:value AS int)", {"value": "Marta Giménez"}),
        ("SELECT CAST(CAST(:value AS text) AS int)", {"value": "Marta Giménez"}),
        ("SELECT CAST(CAST(:value AS text) AS int)", {"value": "301112223334445"}),
    ):
        with pytest.raises(asyncpg.DataError) as caught:
            async with db.begin() as tx:
                await tx.execute(sql(words), values)
        assert values["value"] not in problem_of(caught.value)
        assert values["value"] not in redact_text(f"Traceback: {caught.value}")
        assert problem_of(caught.value).startswith(type(caught.value).__name__)


# -- the oracle: the same steps, one by one, on two dictionaries ------------------------------------------------------

Rows = dict[tuple[str, int], str]

_numbers = st.integers(1, 4)
_names = st.sampled_from(["a", "b", "c"])
_tables = st.sampled_from(["things", "labels"])
_step = st.one_of(
    st.tuples(st.sampled_from(["add", "rename", "remove", "move"]), st.booleans(), _tables, _numbers, _names),
    st.tuples(st.sampled_from(["count", "fail"]), st.just(False), _tables, st.just(0), st.just("")),
)
_block = st.lists(_step, max_size=6)
_story = st.lists(st.tuples(st.booleans(), _block), max_size=4)
# A moved row lands beyond all others, so that it is certainly another one than the row that goes.
_FAR = 10
_STATEMENTS = {
    (kind, table): sql(words.format(table=table))
    for table in ("things", "labels")
    for kind, words in {
        "add": "INSERT INTO public.{table} VALUES (:id, :name) ON CONFLICT DO NOTHING",
        "rename": "UPDATE public.{table} SET name = :name WHERE id = :id",
        "remove": "DELETE FROM public.{table} WHERE id = :id",
    }.items()
}
_COUNTS = {table: query(f"SELECT count(*) FROM public.{table}") for table in ("things", "labels")}


class Refused(Exception):
    """A step that fails on purpose."""


async def _play(tx: Transaction, block: list[Any], counts: list[int]) -> None:
    for kind, waits, table, number, name in block:
        if kind == "fail":
            raise Refused
        if kind == "count":
            counts.append(await tx.fetch_value(_COUNTS[table]))
        elif kind == "move":
            await tx.write(_STATEMENTS["remove", table], {"id": number})
            arrived = {"id": number + _FAR, "name": name}
            await tx.write(_STATEMENTS["add", table], arrived, beside=f"public.{table}")
        else:
            change = tx.write if waits else tx.execute
            await change(_STATEMENTS[kind, table], {"id": number, "name": name})


def _expect(before: Rows, block: list[Any], counts: list[int]) -> Rows | None:
    """What a block makes of the rows; None when it fails."""
    rows = dict(before)
    for kind, _waits, table, number, name in block:
        row = (table, number)
        if kind == "fail":
            return None
        if kind == "count":
            counts.append(sum(of == table for of, _ in rows))
        elif kind == "add":
            rows.setdefault(row, name)
        elif kind == "rename" and row in rows:
            rows[row] = name
        elif kind in ("remove", "move"):
            rows.pop(row, None)
        if kind == "move":
            rows.setdefault((table, number + _FAR), name)
    return rows


def _must_join(story: list[tuple[bool, list[Any]]], ends_well: bool) -> bool:
    """Whether two changes certainly waited for each other: nothing was given up, and they concern other rows."""
    steps = [block for _, block in story]
    if not ends_well or any(step[0] == "fail" for block in steps for step in block):
        return False
    neighbours = [pair for block in steps for pair in pairwise(block)]
    moved = any(step[0] == "move" for block in steps for step in block)
    return moved or any(one[1] and other[1] and one[2] != other[2] for one, other in neighbours)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=_story, ends_well=st.booleans())
@example(story=[(False, [("add", True, "things", 1, "a"), ("add", True, "labels", 1, "b")])], ends_well=True)
@example(story=[(False, [("add", True, "labels", 1, "a"), ("rename", True, "labels", 1, "b")])], ends_well=True)
@example(story=[(True, [("add", False, "things", 1, "a"), ("move", True, "things", 1, "b")])], ends_well=True)
async def test_a_transaction_of_any_steps_ends_as_they_would_one_by_one(
    db: Database, story: list[tuple[bool, list[Any]]], ends_well: bool
) -> None:
    async with db.begin() as tx:
        await tx.execute(sql("DELETE FROM public.things"))
        await tx.execute(sql("DELETE FROM public.labels"))
    expected: Rows = {}
    counts: list[int] = []
    counts_expected: list[int] = []
    failed = False
    with round_trips(db.engine) as sent:
        try:
            async with db.begin() as tx:
                for guarded, block in story:
                    outcome = _expect(expected, block, counts_expected)
                    if guarded:
                        try:
                            async with tx.savepoint():
                                await _play(tx, block, counts)
                        except Refused:
                            assert outcome is None
                            continue
                    else:
                        await _play(tx, block, counts)
                    assert outcome is not None
                    expected = outcome
                if not ends_well:
                    raise Refused
        except Refused:
            failed = True
    async with db.connect() as connection:
        found = {
            (table, row["id"]): row["name"]
            for table in ("things", "labels")
            for row in await connection.fetch(f"SELECT id, name FROM public.{table}")
        }
    assert counts == counts_expected
    assert found == ({} if failed else expected)
    assert any(words.startswith("WITH") for words in sent) or not _must_join(story, ends_well)
