"""How PostgreSQL finds a page: by the index that has its order, by trigrams where words are rare, and nothing else."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from shared.db.statement import sql
from tests.support.databases import OWNER, Database
from tests.tickets.desk import NOW
from tickets.queries import lists
from tickets.queries.lists import Sort, StatusWord, TicketFilter

# Where a page goes on.
TURN, OPENING = (2, 10**16, 2, 2, UUID(int=7)), (NOW, UUID(int=7))
ENDED: list[list[StatusWord]] = [["closed"], ["cancelled"], ["closed", "cancelled"]]


async def explained(connection: Any, wanted: TicketFilter, sort: Sort, after: tuple[Any, ...] | None, how: str) -> str:
    """The plan of one page."""
    page, values = lists._page(wanted, sort, after, 51)
    statement = sql(page)
    rows = await connection.fetch(f"{how} {statement.text}", *statement.arguments(values))
    return "\n".join(row[0] for row in rows)


def line(plan: str, words: str) -> str:
    """The line of a plan that says so."""
    (found,) = [one for one in plan.splitlines() if words in one]
    return found


@pytest.mark.parametrize(
    ("statuses", "sort", "index"),
    [
        (["open"], "due", "open_tickets_by_turn"),
        (["open"], "opened", "open_tickets_by_opening"),
        (["closed"], "opened", "ended_by_opening"),
        (["closed", "cancelled"], "opened", "ended_by_opening"),
        (["cancelled"], "opened", "cancelled_by_opening"),
    ],
)
async def test_a_page_begins_where_its_index_says_and_sorts_nothing(
    desk: Database, statuses: list[StatusWord], sort: Sort, index: str
) -> None:
    async with desk.connect() as connection:
        # With so few rows anything is quick; what is asked here is whether the index can do all of it.
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        after = TURN if sort == "due" else OPENING
        plan = await explained(connection, TicketFilter(status=statuses), sort, after, "EXPLAIN")
    assert f"using {index} on" in plan, plan
    assert "Index Cond: (ROW(" in plan, plan
    assert "Sort" not in plan, plan


async def test_what_is_to_be_completed_is_looked_for_among_one_s_own_and_one_s_teams(desk: Database) -> None:
    async with desk.connect() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off")
        plan = await explained(connection, TicketFilter(view="to-complete", me="eva"), "due", None, "EXPLAIN")
    for index in ("open_tickets_by_owner", "open_tickets_by_team", "installations_by_client"):
        assert f"Bitmap Index Scan on {index}" in plan, plan


@pytest.mark.parametrize(
    ("words", "index"),
    [
        (["all"], "ended_by_opening"),
        (["new", "closed"], "ended_by_opening"),
        (["open", "cancelled"], "cancelled_by_opening"),
    ],
)
async def test_a_page_of_open_and_ended_ones_begins_in_both_where_their_indexes_say(
    desk: Database, words: list[StatusWord], index: str
) -> None:
    async with desk.connect() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = await explained(connection, TicketFilter(status=words), "opened", OPENING, "EXPLAIN")
    assert "using open_tickets_by_opening on" in plan, plan
    assert f"using {index} on" in plan, plan
    assert plan.count("Index Cond: (ROW(") == 2, plan


_MANY_ENDED = """
    INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, severity, severity_to_review, priority,
        title, title_key, description, channel, reported_at, opened_at, opened_by, owner, last_fact_at, course_at,
        level)
    SELECT gen_random_uuid(), 'C-' || n, 1, CASE WHEN n % 500 = 0 THEN 'cancelled' ELSE 'closed' END, 'incident',
           'molinos', 2, false, 2, md5(n::text), md5(n::text), '', 'phone', $1, $1, 'ana', 'ana', $1, $1, 1
      FROM generate_series(1, 5000) n
"""
_ANOTHERS = (
    "UPDATE tickets.tickets SET client_id = 'aguero', assignee = 'eva', team = 'desarrollo' WHERE number = 'C-9'"
)


async def plan_of(desk: Database, wanted: TicketFilter) -> str:
    """How PostgreSQL finds a page among five thousand ended tickets of one client, one of them of another."""
    async with desk.connect(OWNER) as connection:
        await connection.execute(_MANY_ENDED, NOW)
        await connection.execute(_ANOTHERS)
        await connection.execute("ANALYZE tickets.tickets")
        return await explained(connection, wanted, "opened", None, "EXPLAIN (ANALYZE, BUFFERS OFF)")


@pytest.mark.parametrize(
    ("wanted", "index", "looked_at"),
    [
        (TicketFilter(status=["closed"]), "ended_by_opening", 60),
        (TicketFilter(status=["all"]), "ended_by_opening", 60),
        (TicketFilter(status=["cancelled"]), "cancelled_by_opening", 10),
        (TicketFilter(status=["closed"], client="aguero"), "ended_by_client", 1),
        (TicketFilter(status=["all"], client="aguero"), "ended_by_client", 1),
        (TicketFilter(status=["closed"], assignee="eva"), "ended_by_assignee", 1),
        (TicketFilter(status=["closed"], team="desarrollo"), "ended_by_team", 1),
        (TicketFilter(status=["cancelled"], q="balanza"), "cancelled_by_opening", 10),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_page_of_ended_tickets_looks_at_no_more_of_them_than_it_must(
    desk: Database, wanted: TicketFilter, index: str, looked_at: int
) -> None:
    plan = await plan_of(desk, wanted)
    assert f"using {index} on" in plan, plan
    rows = [int(number) for number in re.findall(r"actual [^)]*rows=(\d+)", plan)]
    removed = [int(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
    assert max(rows + removed) <= looked_at, plan


@pytest.mark.parametrize("words", [["closed"], ["closed", "cancelled"], ["all"]])
async def test_what_the_newest_do_not_have_is_found_by_its_trigrams(
    desk: Database, monkeypatch: pytest.MonkeyPatch, words: list[StatusWord]
) -> None:
    monkeypatch.setattr(lists, "_WINDOW", 100)
    plan = await plan_of(desk, TicketFilter(status=words, q="balanza"))
    assert "never" not in line(plan, "Bitmap Index Scan on ended_by_title"), plan
    assert "One-Time Filter" in plan, plan


@pytest.mark.parametrize("words", ENDED)
@pytest.mark.parametrize(
    ("narrow", "index"),
    [
        ({"client": "aguero"}, "ended_by_client"),
        ({"assignee": "eva"}, "ended_by_assignee"),
        ({"team": "desarrollo"}, "ended_by_team"),
    ],
)
async def test_where_nothing_is_left_to_look_through_the_trigrams_are_not_asked(
    desk: Database, narrow: dict[str, str], index: str, words: list[StatusWord]
) -> None:
    plan = await plan_of(desk, TicketFilter(status=words, q="balanza", **narrow))  # type: ignore[arg-type]
    assert index in plan, plan
    assert "never executed" in line(plan, "ended_by_title"), plan


async def test_a_number_is_looked_up_by_its_own_index(desk: Database) -> None:
    plan = await plan_of(desk, TicketFilter(status=["closed"], q="17"))
    assert "Index Scan using tickets_number_key" in plan, plan
    assert "_by_" not in plan, plan
