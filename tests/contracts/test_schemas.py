"""The committed schemas say what the classes say, and stay compatible with every version that was promised."""

from __future__ import annotations

import json
from typing import Any

import jsoncompat
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from shared.contracts.documents import (
    EARLIER,
    EXAMPLES,
    SCHEMAS,
    all_schemas,
    earlier_versions,
    meaning,
    read_json,
    render,
)
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import BY_TYPE
from tests.contracts.changes import OPENED, changed
from tests.contracts.messages import committed, example

HOW_TO = "say `make contracts`"
ALL = all_schemas()


def required_fields(schema: dict[str, Any]) -> dict[str, set[str]]:
    """The required fields of the data and of each of its parts."""
    parts = {"data": schema, **schema.get("$defs", {})}
    return {name: set(part.get("required", [])) for name, part in parts.items()}


def forms(schema: dict[str, Any]) -> dict[str, set[tuple[str | None, str | None]]]:
    """The pattern and the format of each field of the data and of each of its parts: jsoncompat compares neither."""
    return {
        f"{part}.{name}": {
            (leaf.get("pattern"), leaf.get("format"))
            for leaf in (field, field.get("items", {}), *field.get("anyOf", ()))
            if leaf.keys() & {"pattern", "format"}
        }
        for part, of in {"data": schema, **schema.get("$defs", {})}.items()
        for name, field in of.get("properties", {}).items()
    }


def anonymous(schema: dict[str, Any]) -> str:
    """A schema without its name: jsoncompat takes a URN for the address of another document and gives up."""
    return json.dumps({name: part for name, part in meaning(schema).items() if name != "$id"})


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why readers of `old` could not live with a writer of `new`, or a reader of `new` with what `old` wrote."""
    told = []
    if not jsoncompat.check_compat(anonymous(old), anonymous(new), "serializer"):
        told.append("what is written now is not always valid under the earlier version")
    before, after = required_fields(old), required_fields(new)
    told += [
        f"{part}: {name} became required"
        for part in before.keys() & after.keys()
        for name in sorted(after[part] - before[part])
    ]
    formed, anew = forms(old), forms(new)
    told += [f"{name}: another form" for name in formed.keys() & anew.keys() if formed[name] != anew[name]]
    return told


def test_every_type_has_exactly_one_committed_schema() -> None:
    assert committed(SCHEMAS) == set(ALL), HOW_TO


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_the_committed_schema_is_that_of_the_class(type_name: str) -> None:
    text = (SCHEMAS / f"{type_name}.json").read_text(encoding="utf-8")
    assert text == render(ALL[type_name]), HOW_TO


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_a_committed_schema_is_a_valid_one_under_its_own_name(type_name: str) -> None:
    schema = read_json(SCHEMAS / f"{type_name}.json")
    Draft202012Validator.check_schema(schema)
    assert (
        schema["$id"]
        == f"urn:desk:schema:{type_name.removesuffix(OPEN) + (':open' if type_name.endswith(OPEN) else '')}"
    )
    assert schema["description"], "the class needs a docstring: it is what other systems read"


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_a_schema_is_compatible_with_each_of_its_earlier_versions(type_name: str) -> None:
    present = read_json(SCHEMAS / f"{type_name}.json")
    # The present one is held against itself too, so that a construct that jsoncompat cannot judge is seen at once.
    for path in [SCHEMAS / f"{type_name}.json", *earlier_versions(SCHEMAS, type_name)]:
        assert differences(read_json(path), present) == [], f"against {path.name}: publish a new type, .v2, beside it"


@pytest.mark.parametrize("type_name", sorted(ALL))
def test_every_earlier_example_still_validates_and_is_still_read(type_name: str) -> None:
    present = Draft202012Validator(read_json(SCHEMAS / f"{type_name}.json"))
    for path in earlier_versions(EXAMPLES, type_name):
        value = read_json(path)["value"]
        present.validate(value)
        if type_name in BY_TYPE:
            BY_TYPE[type_name].model_validate_json(json.dumps(value))


def test_earlier_versions_belong_to_types_that_still_exist() -> None:
    for folder in (SCHEMAS, EXAMPLES):
        kept = {path.name for path in (folder / EARLIER).glob("*") if path.is_dir()}
        assert kept <= set(ALL), "a type disappears only after its topic's retention, with a decision record"


@pytest.mark.parametrize("change", ["optional field", "one more word"])
def test_an_optional_field_and_a_word_of_an_open_code_are_the_compatible_additions(change: str) -> None:
    assert differences(OPENED, changed(change)) == []


@pytest.mark.parametrize(
    "change",
    [
        "required field",
        "field of a part became required",
        "field removed",
        "field of a part removed",
        "optional field removed",
        "other form of codes",
        "other type",
        "wider range",
        "no longer required",
    ],
)
def test_a_breaking_change_is_seen(change: str) -> None:
    assert differences(OPENED, changed(change)) != []


def test_the_schema_marks_exactly_the_personal_fields() -> None:
    properties = OPENED["properties"]
    marked = {name for name, schema in properties.items() if "x-personal" in json.dumps(schema)}
    reasons = {"reported_late_reason", "severity_reason", "priority_reason"}
    assert marked == {"title", "description", "reporter", *reasons}


def test_an_example_that_lacks_a_required_field_does_not_validate() -> None:
    value = example("desk.ticket.opened.v1")["value"]
    del value["ticket"]["groups"]["client_id"]
    with pytest.raises(ValidationError, match="client_id"):
        Draft202012Validator(OPENED).validate(value)


def test_a_property_called_title_is_not_taken_for_an_annotation() -> None:
    assert "title" in meaning(OPENED)["properties"]
    assert "title" not in meaning(OPENED)
