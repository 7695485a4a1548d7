"""Every text of the published language is a code, one of some words, `Personal`, or listed here with its reason.

A free text that nobody marked would leave for other systems and logs in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from shared.contracts.codes import written
from shared.contracts.envelope import Code, Part
from shared.contracts.personal import Personal, PersonalMark
from shared.contracts.topics import BY_TYPE

OF_A_COMPANY = "of a company, as it stands in public registers"
OF_A_PRODUCT = "what PSA calls a part of its product"
VERSION = "the number of a version"
OF_THE_TRACKER = "what the tracker calls it"
# Class and field → why it is no personal data although anything could stand in it.
FREE = {
    "TicketBrief.number": "made by this system",
    "OtherTicket.number": "made by this system",
    "EnvironmentBrief.product_version": VERSION,
    "TeamRecorded.name": "of a team of the house",
    "RotaRecorded.zone": "a name of the time zone database",
    "ClientRecorded.name": OF_A_COMPANY,
    "ClientRecorded.tax_id": OF_A_COMPANY,
    "ClientRecorded.city": OF_A_COMPANY,
    "ProductRecorded.name": OF_A_PRODUCT,
    "ModuleRecorded.name": OF_A_PRODUCT,
    "InstallationRecorded.product_version": VERSION,
    "InstallationRecorded.site": "which of a company's places it is",
    "InstalledModule.name": OF_A_PRODUCT,
    "InstalledModule.version": VERSION,
    "EnvironmentResolved.product_name": OF_A_PRODUCT,
    "EnvironmentResolved.product_version": VERSION,
    "WrittenCalendar.timezone": "a name of the time zone database",
    "CalendarRecorded.name": "of a calendar of the house",
    "ContractTypeRecorded.name": "of a type of contract of the house",
    "TaskBrief.tracker": "the code of a connection",
    "TaskBrief.external_id": OF_THE_TRACKER,
    "TaskBrief.display_id": OF_THE_TRACKER,
    "TaskBrief.url": OF_THE_TRACKER,
    "TaskBrief.tracker_status": OF_THE_TRACKER,
    "TaskBrief.fix_version": VERSION,
}


def is_free(annotation: Any, marks: Iterable[Any] = ()) -> bool:
    """Whether any text fits, and nobody said that it is personal."""
    told = tuple(marks)
    if any(isinstance(mark, PersonalMark) or has_form(mark) for mark in told):
        return False
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return is_free(inner, (*told, *more))
    if get_origin(annotation) is Literal:
        return False
    return annotation is str or any(is_free(part) for part in get_args(annotation))


def has_form(mark: Any) -> bool:
    """Whether a mark, or what a field keeps of several, says by a pattern what fits."""
    return any(getattr(each, "pattern", None) is not None for each in (mark, *getattr(mark, "metadata", ())))


def parts_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model, those that it is made from, and those in its fields."""
    yield from (base for base in model.__mro__ if issubclass(base, Part))
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            each = waiting.pop()
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from parts_of(each)
            waiting.extend(get_args(each))


def free_texts(models: Iterable[type[BaseModel]]) -> set[str]:
    """Every free text, where it is declared."""
    found = {part for model in models for part in parts_of(model)}
    return {
        f"{part.__name__}.{name}"
        for part in found
        for name, field in part.model_fields.items()
        if name in part.__annotations__ and is_free(field.annotation, field.metadata)
    }


def test_every_free_text_is_personal_or_listed_with_its_reason() -> None:
    found = free_texts(BY_TYPE.values())
    assert found - set(FREE) == set(), "mark it Personal, make it a Code, or list it here with its reason"
    assert set(FREE) - found == set(), "is no longer there, or no longer free"


class Inner(Part):
    """A part of a careless event."""

    remark: str


class Careless(Part):
    """An event with each kind of text."""

    note: str
    maybe: str | None = None
    several: tuple[str, ...] = ()
    by_name: dict[str, int] | None = None
    inner: tuple[Inner, ...] = ()
    code: Code
    perhaps_a_code: Code | None = None
    codes: tuple[Code, ...] = ()
    word: Literal["a", "b"]
    open_word: Annotated[str, written(Literal["a", "b"])]
    perhaps_an_open_word: Annotated[str, written(Literal["a", "b"])] | None = None
    said: Personal[str]
    perhaps_said: Personal[str] | None = None
    number: int


@pytest.mark.parametrize("field", ["note", "maybe", "several", "by_name"])
def test_a_silent_free_text_is_seen(field: str) -> None:
    assert f"Careless.{field}" in free_texts([Careless])


def test_a_free_text_is_seen_in_a_part_and_nothing_else_is_taken_for_one() -> None:
    careless = {f"Careless.{name}" for name in ("note", "maybe", "several", "by_name")}
    assert free_texts([Careless]) == {*careless, "Inner.remark"}
