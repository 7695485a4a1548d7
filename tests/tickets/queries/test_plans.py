"""How PostgreSQL finds a page: by the index that has its order, by trigrams where words are rare, and nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.db.statement import sql
from tests.support.databases import OWNER, Database
from tests.tickets.desk import NOW
from tickets.queries import lists, search
from tickets.queries.filters import StatusWord, TicketFilter
from tickets.queries.lists import Sort

# Where a page goes on.
TURN, OPENING = (3, 10**16, 2, 2, UUID(int=7)), (NOW, UUID(int=7))
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
        level, cancelled_at, closed_at, resolved_at, reopenable_until, resolution_code, resolution_text)
    SELECT gen_random_uuid(), 'C-' || n, 1, CASE WHEN cancelled THEN 'cancelled' ELSE 'closed' END, 'incident',
           'molinos', 2, false, 2, md5(n::text), md5(n::text), '', 'phone', at, at, 'ana', 'ana', at, at, 1,
           CASE WHEN cancelled THEN at END, CASE WHEN NOT cancelled THEN at END, CASE WHEN NOT cancelled THEN at END,
           CASE WHEN NOT cancelled THEN at END, CASE WHEN NOT cancelled THEN 'configuracion' END,
           CASE WHEN NOT cancelled THEN 'listo' END
      FROM (SELECT n, n % 500 = 0 AS cancelled, CAST($1 AS timestamptz) AS at FROM generate_series(1, 5000) n) numbered
"""
# One of them is another's in every respect, and was closed and written about a day later.
_ANOTHERS = """
    UPDATE tickets.tickets
       SET client_id = 'aguero', assignee = 'eva', team = 'desarrollo', owner = 'eva', module_id = 'balanza',
           participants = '[{"role": "watching", "person_id": "eva"}]', closed_at = $1, last_fact_at = $1
     WHERE number = 'C-9'
"""
DAY = NOW + timedelta(days=1)


@pytest.fixture
async def many(desk: Database) -> Database:
    """Five thousand ended tickets of one client, one of them of another."""
    async with desk.connect(OWNER) as connection:
        await connection.execute(_MANY_ENDED, NOW)
        await connection.execute(_ANOTHERS, DAY)
        await connection.execute("ANALYZE tickets.tickets")
    return desk


async def plan_of(many: Database, wanted: TicketFilter) -> str:
    """How PostgreSQL finds a page among them."""
    async with many.connect(OWNER) as connection:
        return await explained(connection, wanted, "opened", None, "EXPLAIN (ANALYZE, BUFFERS OFF)")


def used(plan: str, index: str) -> bool:
    """Whether a plan reads an index, in its order or for a bitmap."""
    return re.search(rf"(using|Bitmap Index Scan on) {index}\b", plan) is not None


# What is asked for, the index that finds it, and how many rows may be looked at.
NARROWED: list[tuple[TicketFilter, str, int]] = [
    (TicketFilter(status=["closed"]), "ended_by_opening", 60),
    (TicketFilter(status=["all"]), "ended_by_opening", 60),
    (TicketFilter(status=["cancelled"]), "cancelled_by_opening", 10),
    (TicketFilter(status=["closed"], client=["aguero"]), "ended_by_client", 1),
    (TicketFilter(status=["all"], client=["aguero"]), "ended_by_client", 1),
    (TicketFilter(status=["all"], client=["aguero", "nadie"]), "ended_by_client", 1),
    (TicketFilter(status=["closed"], assignee=["eva"]), "ended_by_assignee", 1),
    (TicketFilter(status=["closed"], team=["desarrollo"]), "ended_by_team", 1),
    (TicketFilter(status=["closed"], owner=["eva"]), "ended_by_owner", 1),
    (TicketFilter(status=["all"], module=["balanza"]), "ended_by_module", 1),
    (TicketFilter(status=["all"], participant=["eva", "nadie"]), "ended_by_participant", 1),
    (TicketFilter(status=["closed"], closed_from=DAY), "ended_by_closing", 1),
    (TicketFilter(status=["all"], updated_since=DAY), "ended_by_change", 1),
    (TicketFilter(status=["all"], reported_from=DAY), "ended_by_opening", 0),
    (TicketFilter(status=["closed"], opened_from=DAY), "ended_by_opening", 0),
    (TicketFilter(status=["cancelled"], q="balanza"), "cancelled_by_opening", 10),
]


async def test_a_page_of_ended_tickets_looks_at_no_more_of_them_than_it_must(many: Database) -> None:
    for wanted, index, looked_at in NARROWED:
        plan = await plan_of(many, wanted)
        assert used(plan, index), plan
        assert "Seq Scan on tickets t" not in plan, plan
        rows = [float(number) for number in re.findall(r"actual [^)]*rows=([\d.]+)", plan)]
        removed = [float(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
        assert max(rows + removed) <= looked_at, plan


async def test_the_tickets_of_a_client_that_is_named_are_read_by_its_index(many: Database) -> None:
    plan = await plan_of(many, TicketFilter(status=["all"], q="agüero hermanos"))
    assert used(plan, "ended_by_client"), plan
    assert "Index Cond: (client_id = c.id)" in plan, plan


async def test_what_the_newest_do_not_have_is_found_by_its_trigrams(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_WINDOW", 100)
    asked: list[list[StatusWord]] = [["closed"], ["closed", "cancelled"], ["all"]]
    for words in asked:
        plan = await plan_of(many, TicketFilter(status=words, q="balanza"))
        assert "never" not in line(plan, "Bitmap Index Scan on ended_by_title"), plan
        assert "One-Time Filter" in plan, plan


async def test_where_nothing_is_left_to_look_through_the_trigrams_are_not_asked(many: Database) -> None:
    narrow: dict[str, Any] = {"client": ["aguero"], "assignee": ["eva"], "team": ["desarrollo"], "owner": ["eva"]}
    for name, each in narrow.items():
        for words in ENDED:
            plan = await plan_of(many, TicketFilter(status=words, q="balanza", **{name: each}))
            assert used(plan, f"ended_by_{name}"), plan
            assert "never executed" in line(plan, "ended_by_title"), plan


async def test_a_number_is_looked_up_by_its_own_index(many: Database) -> None:
    plan = await plan_of(many, TicketFilter(status=["closed"], q="17"))
    assert "Index Scan using tickets_number_key" in plan, plan
    assert "_by_" not in plan, plan
