"""Answers that PostgreSQL writes: the models that describe them, and the SQL that follows from their fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import to_json

# A function of PostgreSQL takes a hundred arguments.
MOST_PAIRS = 50


class View(BaseModel):
    """Describes an answer that PostgreSQL writes; a test holds the two together."""

    model_config = ConfigDict(extra="forbid")


class Named(View):
    """A record of reference data. The name is null while nobody has said it."""

    id: str
    name: str | None


class Recorded(View):
    """What every record of reference data shows about itself."""

    version: int
    changed_at: AwareDatetime
    changed_by: str = Field(description="the actor of the last change")


def object_of(view: type[View], alias: str, *, left_out: Collection[str] = (), **by_hand: str) -> str:
    """The SQL of a JSON object with the fields of a view: each is the column of its name, or what is given by hand.

    What is left out is spliced in afterwards. Raises ValueError for a field that the view does not have.
    """
    if unknown := {*left_out, *by_hand} - view.model_fields.keys():
        raise ValueError(f"{view.__name__} has no {', '.join(sorted(unknown))}")
    named = [name for name in view.model_fields if name not in left_out]
    values = {name: by_hand.get(name, f"{alias}.{name}") for name in named}
    if len(values) > MOST_PAIRS:
        columns = ", ".join(f"{value} AS {name}" for name, value in values.items())
        return f"(SELECT row_to_json(whole) FROM (SELECT {columns}) whole)"  # noqa: S608 - written here
    pairs = ", ".join(f"'{name}', {value}" for name, value in values.items())
    return f"json_build_object({pairs})"


def spliced(document: str, beside: Mapping[str, Any]) -> str:
    """The text of a JSON object that PostgreSQL wrote, with more fields."""
    return f"{document[:-1]}, {to_json(beside).decode()[1:]}"


def array_of(written: str, order: str, source: str) -> str:
    """The SQL of a JSON array of what is written of each row of a source, in an order; empty where there is no row."""
    return f"COALESCE((SELECT json_agg({written} ORDER BY {order}) FROM {source}), '[]')"  # noqa: S608 - written here


def literal(word: str) -> str:
    """The text as LIKE takes it literally."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
