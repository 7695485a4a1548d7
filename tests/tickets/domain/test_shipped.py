"""What differs from the shipped scheme, and each entry of it put back: in the end nothing differs."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tickets.domain.shipped import DEFAULTS
from tickets.domain.shipped import NoSuchPart, differing, with_shipped

SHIPPED: dict[str, Any] = DEFAULTS.urgency_schemes[0].terms()


def changed(chance: random.Random) -> dict[str, Any]:
    """The shipped terms after some changes by hand."""
    terms = copy.deepcopy(SHIPPED)
    for _ in range(chance.randint(0, 6)):
        entries = terms[chance.choice(["rules", "shifts"])]
        what = chance.choice(["drop", "word", "move", "add", "cell", "unknown"])
        if what == "drop" and entries:
            entries.pop(chance.randrange(len(entries)))
        elif what == "word" and entries:
            chance.choice(entries)["says"] = "otra cosa"
        elif what == "move":
            chance.shuffle(entries)
        elif what == "add":
            entries.insert(0, {"id": f"nueva-{len(entries)}", "says": "nueva", "when": {}, "priority": 1})
        elif what == "cell":
            terms["matrix"][0][0] = 2
        elif what == "unknown":
            terms["unknown_counts_as"] = 4
    return terms


@given(st.randoms(use_true_random=False))
def test_whatever_was_changed_can_be_put_back_entry_by_entry(chance: random.Random) -> None:
    terms = changed(chance)
    assert (differing(terms, SHIPPED) == []) == (terms == SHIPPED)
    for _ in range(40):
        told = differing(terms, SHIPPED)
        if not told:
            break
        entry = chance.choice(told)
        after = with_shipped(terms, SHIPPED, entry)
        assert entry not in differing(after, SHIPPED)
        terms = after
    assert terms == SHIPPED


def test_an_entry_that_was_taken_out_comes_back_to_its_place_and_an_added_one_goes() -> None:
    terms = copy.deepcopy(SHIPPED)
    gone = terms["rules"].pop(3)
    terms["rules"].insert(0, {**gone, "id": "mia"})
    assert differing(terms, SHIPPED) == ["rule:mia", f"rule:{gone['id']}"]
    back = with_shipped(terms, SHIPPED, f"rule:{gone['id']}")
    assert [one["id"] for one in back["rules"]] == ["mia", *(one["id"] for one in SHIPPED["rules"])]
    assert with_shipped(back, SHIPPED, "rule:mia") == SHIPPED


def test_an_entry_that_does_not_differ_is_named_with_those_that_do() -> None:
    with pytest.raises(NoSuchPart, match="nothing differs"):
        with_shipped(SHIPPED, SHIPPED, "matrix")
    with pytest.raises(NoSuchPart, match="what differs is unknown_counts_as"):
        with_shipped({**SHIPPED, "unknown_counts_as": 4}, SHIPPED, "rule:nada")
    assert differing(SHIPPED, None) == []
