"""A question to a list of tickets: a number, a part of a title, words of a client's name."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import Invalid
from shared.spelling import search_key, search_words
from tickets.domain.number import number_in
from tickets.domain.workflow import ENDED
from tickets.queries.written import literal


class QuestionTooShort(Invalid):
    """Nearly every title has those one or two letters in it."""

    code = "question-too-short"
    title = "The question is too short"


# A question with less than three letters or digits has no trigram.
_SHORTEST = 3
# A word that is in one of two hundred titles fills a page from so many tickets; what is rarer the trigrams find.
_WINDOW = 10_000
# As their indexes say it.
ENDED_ONES = f"t.status IN ({', '.join(map(repr, ENDED))})"

_IS_CALLED = "replace(c.name_key, ' ', '') LIKE ALL (CAST(:words AS text[]))"
_SAID = {
    "number": "t.number = :number",
    "pattern": "t.title_key LIKE :pattern",
    # The clients are few, and are looked up once.
    "words": f"t.client_id = ANY (ARRAY(SELECT c.id FROM tickets.clients c WHERE {_IS_CALLED}))",
}

# No index gives both the order and the words, and nobody can say beforehand how many titles have a word. So the newest
# tickets are looked through first, in their order, until the page is full or nothing is left; what is so rare that many
# do not fill it is found by its trigrams, and then there are few to sort. OFFSET 0 keeps the planner from looking
# through all in order.
_BY_TITLE = """
    WITH newest AS MATERIALIZED (
        SELECT {keys} FROM (SELECT * FROM tickets.tickets t WHERE {near} ORDER BY {order} LIMIT {window}) t
         WHERE {said} AND {fits} LIMIT :limit),
    enough AS MATERIALIZED (
        SELECT CASE WHEN (SELECT count(*) FROM newest) = :limit THEN true
                    ELSE NOT EXISTS (SELECT FROM tickets.tickets t WHERE {near} ORDER BY {order} OFFSET {window})
               END AS found)
    SELECT {keys} FROM newest t WHERE (SELECT found FROM enough)
    UNION ALL
    (SELECT {keys} FROM (SELECT * FROM tickets.tickets t WHERE {ended} AND {said} OFFSET 0) t
      WHERE NOT (SELECT found FROM enough) AND {near} AND {fits} ORDER BY {order} LIMIT :limit)
"""
# Of each client the first ones, by the index that has its tickets in the order of the list, and of these the first.
_BY_CLIENT = f"""
    SELECT {{keys}} FROM (SELECT c.id AS called FROM tickets.clients c WHERE {_IS_CALLED}) c
     CROSS JOIN LATERAL (
           SELECT * FROM tickets.tickets t
            WHERE t.client_id = c.called AND {{near}} AND {{fits}} ORDER BY {{order}} LIMIT :limit) t
     ORDER BY {{order}} LIMIT :limit
"""
_BY_NUMBER = "SELECT {keys} FROM tickets.tickets t WHERE {said} AND {near} AND {fits} LIMIT 1"


def said_in(q: str | None, *, everywhere: bool) -> Mapping[str, Any]:
    """What a question asks for: a number, a pattern of titles, words of a client's name.

    `everywhere`: each title may be looked through. Raises QuestionTooShort.
    """
    key = search_key(q or "")
    if q is None or not key:
        return {}
    number = number_in(q)
    in_words = everywhere or sum(map(str.isalnum, key)) >= _SHORTEST
    if not in_words and number is None:
        raise QuestionTooShort("among ended tickets, ask with at least three letters or digits, or with a number")
    said: dict[str, Any] = {} if number is None else {"number": number}
    if in_words:
        said |= {"pattern": f"%{literal(key)}%", "words": [f"%{literal(word)}%" for word in search_words(q)]}
    return said


def says(said: Mapping[str, Any]) -> list[str]:
    """The condition of an open ticket that has what a question asks for, one or another; none without a question."""
    return [f"({' OR '.join(_SAID[name] for name in said)})"] if said else []


def ended_pages(said: Mapping[str, Any], near: str, fits: str, **pieces: str) -> list[str]:
    """The SQL of pages of ended tickets, which together have all that a question asks for.

    `near` is what indexes in the order of the list know, `fits` what else they must be.
    """
    ways = {"number": _BY_NUMBER, "pattern": _BY_TITLE, "words": _BY_CLIENT}
    narrow = {"near": near, "fits": fits, "ended": ENDED_ONES, "window": str(_WINDOW)}
    return [ways[name].format(said=_SAID[name], **narrow, **pieces) for name in said]
