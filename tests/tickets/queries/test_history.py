"""The history of a ticket: in pages as it was recorded, and its last part in the view."""

from __future__ import annotations

from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import deliver, open_one
from tests.tickets.queries.reading import view
from tickets.queries import history
from tickets.queries.history import SHOWN, HistoryEntry


async def test_pages_of_a_history_are_in_recorded_order_and_the_view_is_in_the_order_of_what_happened(
    desk: Database,
) -> None:
    done = await open_one(desk)
    story = told.whole_story(done.ticket.id)
    async with desk.begin() as tx:
        # Told late: it happened before things that are in the history already.
        for event in reversed(story):
            await deliver(tx, [event])
    found: list[HistoryEntry] = []
    after: tuple[int] | None = None
    while True:
        async with desk.begin() as tx:
            page = await history.page_history(tx, done.ticket.id, after=after, limit=4)
        found.extend(HistoryEntry.model_validate_json(entry) for *_, entry in page)
        if len(page) < 4:
            break
        assert len(found) < 100, "the pages do not end"
        after = page[-1][:-1]
    # The breach called somebody: that is a fact of the ticket itself.
    (call,) = [entry for entry in found if entry.type == "desk.ticket.attention-raised.v1"]
    told_of = [str(entry.fact_id) for entry in found if entry is not call]
    assert told_of == [str(done.facts[0]), *(str(one.id) for one in reversed(story))]
    happened = sorted(found, key=lambda entry: (entry.occurred_at, entry.position))
    assert [str(entry.fact_id) for entry in happened] == [
        entry["fact_id"] for entry in (await view(desk, done.ticket.id))["history"]
    ]
    assert happened != found


_MANY_FACTS = """
    INSERT INTO tickets.history (ticket_id, fact_id, type, source, occurred_at, recorded_at, actor, origin,
                                 correlation_id, data)
    SELECT $1, gen_random_uuid(), 'desk.ticket.responded.v1', 'tickets', $2::timestamptz - n * interval '1 minute',
           $2, 'ana', 'live', 'r', jsonb_build_object('number', n)
      FROM generate_series(1, $3::int) n
"""


async def test_the_view_shows_the_facts_that_were_recorded_last_and_says_that_there_are_more(desk: Database) -> None:
    done = await open_one(desk)
    async with desk.connect() as connection:
        await connection.execute(_MANY_FACTS, done.ticket.id, done.ticket.opened_at, SHOWN - 1)
    whole = await view(desk, done.ticket.id)
    assert (len(whole["history"]), whole["history_goes_on"]) == (SHOWN, False)
    async with desk.connect() as connection:
        await connection.execute(_MANY_FACTS, done.ticket.id, done.ticket.opened_at, 3)
    found = await view(desk, done.ticket.id)
    assert (len(found["history"]), found["history_goes_on"]) == (SHOWN, True)
    # The opening and two more were recorded first, whenever they happened; the rest is in the order of what happened.
    left = {entry["position"] for entry in whole["history"]} - {entry["position"] for entry in found["history"]}
    assert left == set(sorted(entry["position"] for entry in whole["history"])[:3])
    shown = [(entry["occurred_at"], entry["position"]) for entry in found["history"]]
    assert shown == sorted(shown)
    async with desk.begin() as tx:
        page = await history.page_history(tx, done.ticket.id, after=None, limit=SHOWN + 50)
    assert len(page) == SHOWN + 3
