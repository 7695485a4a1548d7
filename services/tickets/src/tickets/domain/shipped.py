"""What the product shipped beside what an admin made of it: where they differ, and one entry put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import NotFound

# The entries of a scheme that are lists of entries, and what one of them is called.
_LISTS = {"rules": "rule", "shifts": "shift"}
_SINGLE = ("matrix", "unknown_counts_as")

Terms = Mapping[str, Any]


class NoSuchPart(NotFound):
    """Neither the scheme nor what was shipped has an entry of this name; `entries` are those that differ."""

    code = "no-such-part"
    title = "There is no such entry"


def differing(terms: Terms, shipped: Terms | None) -> list[str]:
    """The entries that are not as they were shipped: `matrix`, `rule:…`, `shift:…`; one that was added or taken out
    is one of them, and so is each list (`rules`) whose entries stand in another order."""
    if shipped is None:
        return []
    told = [name for name in _SINGLE if terms[name] != shipped[name]]
    for name, noun in _LISTS.items():
        now, then = _by_id(terms[name]), _by_id(shipped[name])
        told += [f"{noun}:{each}" for each in {**now, **then} if now.get(each) != then.get(each)]
        if [each for each in now if each in then] != [each for each in then if each in now]:
            told.append(name)
    return told


def with_shipped(terms: Terms, shipped: Terms | None, entry: str) -> dict[str, Any]:
    """The terms with one entry as it was shipped: put back in its place, or taken out where it was not shipped.

    Raises NoSuchPart.
    """
    if shipped is None or entry not in differing(terms, shipped):
        differs = differing(terms, shipped)
        told = f"what differs is {', '.join(differs)}" if differs else "nothing differs from what was shipped"
        raise NoSuchPart(f"'{entry}' is not an entry that differs: {told}", entries=differs)
    if entry in (*_SINGLE, *_LISTS):
        return {**terms, entry: shipped[entry]}
    noun, _, of_entry = entry.partition(":")
    name = next(each for each, called in _LISTS.items() if called == noun)
    return {**terms, name: _put_back(list(terms[name]), list(shipped[name]), of_entry)}


def _put_back(now: list[Any], shipped: list[Any], id: str) -> list[Any]:
    """Without it where it was not shipped; else in its place, or behind what it was shipped behind."""
    wanted = next((one for one in shipped if one["id"] == id), None)
    if wanted is None:
        return [one for one in now if one["id"] != id]
    if any(one["id"] == id for one in now):
        return [wanted if one["id"] == id else one for one in now]
    before = {one["id"] for one in shipped[: shipped.index(wanted)]}
    place = max((number for number, one in enumerate(now, 1) if one["id"] in before), default=0)
    return [*now[:place], wanted, *now[place:]]


def _by_id(entries: list[Any]) -> dict[str, Any]:
    return {one["id"]: one for one in entries}
