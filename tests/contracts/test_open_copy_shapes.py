"""No shape of an event lets anything personal into its open copy: models made at random, and those that once did."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Optional, Union

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, create_model
from typing_extensions import TypedDict

from shared.contracts.envelope import Event, Part
from shared.contracts.open_copy import open_schema, open_value
from shared.contracts.personal import Personal, holds_personal

CANARY = "canario"
# Few names, so that the arms of a union and the keys of a mapping meet the names of other models' fields.
NAMES = ("name", "text", "code", "place")
_numbers = itertools.count()


@dataclass(frozen=True)
class Typed:
    """An annotation, and how a value of it is drawn."""

    annotation: Any
    draw: Callable[[Any], Any]


def copied(model: type[Event], event: Event) -> Any:
    """The copy of an event, which its own schema takes."""
    copy = open_value(model, event.model_dump_json().encode())
    assert CANARY.encode() not in copy, copy
    schema = open_schema({"$id": f"urn:desk:schema:{model.type}", **model.model_json_schema(mode="validation")})
    assert "x-personal" not in json.dumps(schema)
    value = json.loads(copy)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(value)
    return value


# -- shapes made at random --------------------------------------------------------------------------------------------

PLAIN = [
    Typed(str, lambda draw: draw(st.sampled_from(["plain", "open"]))),
    Typed(int, lambda draw: draw(st.integers(0, 9))),
    Typed(Any, lambda draw: draw(st.sampled_from([1, "any", {"name": "any"}]))),
]
PERSONAL = [
    Typed(Personal[str], lambda _draw: f"{CANARY}-{next(_numbers)}"),
    Typed(Optional[Personal[str]], lambda draw: draw(st.sampled_from([None, f"{CANARY}-{next(_numbers)}"]))),  # noqa: UP045
    Typed(dict[Personal[str], int], lambda _draw: {f"{CANARY}-{next(_numbers)}": 1}),
    Typed(dict[str, Personal[str]], lambda _draw: {"name": f"{CANARY}-{next(_numbers)}"}),
]


def _wrapped(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    keys = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)

    def mapping(of: Typed) -> Typed:
        return Typed(dict[str, of.annotation], lambda draw: {key: of.draw(draw) for key in draw(keys)})  # type: ignore[name-defined]

    def sequence(of: Typed) -> Typed:
        return Typed(list[of.annotation], lambda draw: [of.draw(draw) for _ in range(draw(st.integers(0, 2)))])  # type: ignore[name-defined]

    def pair(of: tuple[Typed, Typed]) -> Typed:
        first, second = of
        return Typed(tuple[first.annotation, second.annotation], lambda draw: (first.draw(draw), second.draw(draw)))  # type: ignore[name-defined]

    def either(of: tuple[Typed, Typed]) -> Typed:
        return Typed(Union[of[0].annotation, of[1].annotation], lambda draw: draw(st.sampled_from(of)).draw(draw))  # noqa: UP007

    models = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3).map(_model)
    pairs = st.tuples(inner, inner)
    unions = st.one_of(st.tuples(models, models), pairs).map(either)
    return st.one_of(models, unions, inner.map(mapping), inner.map(sequence), pairs.map(pair))


def _model(fields: dict[str, Typed]) -> Typed:
    made = create_model(
        f"Model{next(_numbers)}", __base__=Part, **{name: (of.annotation, ...) for name, of in fields.items()}
    )  # type: ignore[call-overload]
    return Typed(made, lambda draw: made(**{name: of.draw(draw) for name, of in fields.items()}))


def _told(fields: dict[str, Typed]) -> type[Event]:
    class Told(Event):
        type: ClassVar[str] = "desk.made.told.v1"

    made: type[Event] = create_model(
        "Told", __base__=Told, **{name: (of.annotation, ...) for name, of in fields.items()}
    )  # type: ignore[call-overload]
    return made


TYPES = st.recursive(st.sampled_from(PLAIN + PERSONAL), _wrapped, max_leaves=6)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(NAMES), TYPES, min_size=1, max_size=3), st.data())
def test_nothing_personal_is_in_the_copy_of_any_shape_and_its_schema_takes_it(
    fields: dict[str, Typed], data: st.DataObject
) -> None:
    model = _told(fields)

    def draw(strategy: Any, *_: Any) -> Any:
        return data.draw(strategy)

    copied(model, model(**{name: of.draw(draw) for name, of in fields.items()}))


# -- shapes by hand ---------------------------------------------------------------------------------------------------


class Person(Part):
    """Somebody at the client."""

    name: Personal[str]
    language: str = "es"


class Place(Part):
    """Called like a person, and not personal."""

    name: str
    city: str


class Visit(Part):
    """Somebody, deeper."""

    who: Person
    at: int


class Stay(Part):
    """The same field, and nobody in it."""

    who: Place
    nights: int


class Note(TypedDict):
    """No model, and a field of it is personal all the same."""

    words: Personal[str]
    at: int


class Thread(Part):
    """Holds what it is itself."""

    said: Personal[str]
    at: int
    answers: tuple[Thread, ...] = ()


class Board(Part):
    """The same, and nothing personal in it."""

    city: str
    beside: tuple[Board, ...] = ()


class Told(Event):
    """The shapes through which personal fields once went into the copy."""

    type = "desk.sample.told.v1"
    by_role: dict[str, Person] = Field(default_factory=dict)
    grouped: dict[str, tuple[Person, ...]] = Field(default_factory=dict)
    either: Person | Place | None = None
    deeper: Visit | Stay | None = None
    pair: tuple[Person, Place] | None = None
    any_of_these: list[Person] | dict[str, Person] | None = None
    note: Note | None = None
    thread: Thread | None = None


ANA = Person(name=f"{CANARY}-ana", language="en")
SALTA = Place(name="Centro", city="Salta")


def test_a_mapping_of_models_keeps_its_keys_and_what_is_open_in_each() -> None:
    told = Told(by_role={"language": ANA, "name": ANA}, grouped={"city": (ANA, ANA)})
    copy = copied(Told, told)
    assert copy["by_role"] == {"language": {"language": "en"}, "name": {"language": "en"}}
    assert copy["grouped"] == {"city": [{"language": "en"}, {"language": "en"}]}
    assert copied(Told, Told(any_of_these={"name": ANA}))["any_of_these"] == {"name": {"language": "en"}}
    assert copied(Told, Told(any_of_these=[ANA]))["any_of_these"] == [{"language": "en"}]


def test_what_is_personal_in_one_arm_of_a_union_is_in_none() -> None:
    """The JSON does not say which arm it is of."""
    assert copied(Told, Told(either=ANA))["either"] == {"language": "en"}
    assert copied(Told, Told(either=SALTA))["either"] == {"city": "Salta"}
    assert copied(Told, Told(deeper=Visit(who=ANA, at=1)))["deeper"] == {"who": {"language": "en"}, "at": 1}
    assert copied(Told, Told(deeper=Stay(who=SALTA, nights=2)))["deeper"] == {"who": {"city": "Salta"}, "nights": 2}


def test_each_place_of_a_tuple_is_of_its_own_model() -> None:
    # Place has lost its name wherever it stands: in a union with Person it may not have one, and it is the same part.
    assert copied(Told, Told(pair=(ANA, SALTA)))["pair"] == [{"language": "en"}, {"city": "Salta"}]


def test_what_is_no_model_and_what_holds_itself_is_copied_too() -> None:
    assert copied(Told, Told(note={"words": CANARY, "at": 3}))["note"] == {"at": 3}
    assert holds_personal(Thread)
    assert not holds_personal(Board)
    inner = Thread(said=CANARY, at=2)
    copy = copied(Told, Told(thread=Thread(said=CANARY, at=1, answers=(inner, inner))))
    assert copy["thread"] == {"at": 1, "answers": [{"at": 2, "answers": []}, {"at": 2, "answers": []}]}
