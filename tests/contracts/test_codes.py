"""Open codes: a reader takes any in the place of each, what is no code is refused, and the documents name today's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from shared.contracts.codes import OPEN_CODE
from shared.contracts.devlink import TaskStatus
from shared.contracts.documents import SCHEMAS, all_schemas, meaning, open_example_of, read_json, schema_of
from shared.contracts.envelope import InvalidMessage
from shared.contracts.inventory import Nature, Tier, UnknownReason
from shared.contracts.open_copy import OPEN
from shared.contracts.pages import PAGES
from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, ContractType, ResumedBecause, RetargetedBecause
from shared.contracts.teams import Language, PersonState, TeamTarget, Weekday
from shared.contracts.tickets import (
    Addressee,
    AttentionReason,
    Channel,
    ClosedBecause,
    HoldReason,
    Kind,
    ParticipantRole,
    Relation,
    ReleasedBecause,
    Status,
    Target,
)
from shared.contracts.topics import BY_TYPE
from tests.contracts.messages import TYPES, Place, example, is_code, places, record_of, said_at, saying

# The part and the field → the words that its owner writes. Everything that says which kind something is stands here: a
# word more is no new version, so a field that is one of some words for ever would be the one that stops a consumer.
WRITTEN = {
    "TicketBrief.status": Status,
    "TicketBrief.target": Target,
    "TicketBrief.kind": Kind,
    "HoldBrief.reason": HoldReason,
    "TicketOpened.channel": Channel,
    "TicketEscalated.target": Target,
    "TicketResponded.channel": Channel,
    "TicketHeld.reason": HoldReason,
    "TicketReleased.reason": HoldReason,
    "TicketReleased.because": ReleasedBecause,
    "TicketClosed.because": ClosedBecause,
    "TicketParticipantJoined.role": ParticipantRole,
    "TicketParticipantLeft.role": ParticipantRole,
    "TicketAttentionRaised.reason": AttentionReason,
    "TicketAttentionRaised.addressee": Addressee,
    "TicketAttentionCleared.reason": AttentionReason,
    "TicketAttentionCleared.addressee": Addressee,
    "TicketLinked.relation": Relation,
    "TicketUnlinked.relation": Relation,
    "TicketReopened.previous_status": Status,
    "ClockState.kind": ClockKind,
    "ClockState.course": ClockCourse,
    "ClockState.outcome": ClockOutcome,
    "ClockState.pause_reason": HoldReason,
    "SlaClockResumed.because": ResumedBecause,
    "SlaClockRetargeted.because": RetargetedBecause,
    "ContractVersion.contract_type": ContractType,
    "Terms.pausing_holds": HoldReason,
    "TargetRule.clock": ClockKind,
    "TargetRule.kinds": Kind,
    "TaskBrief.status": TaskStatus,
    "DevTaskStatusChanged.previous_status": TaskStatus,
    "PersonRecorded.state": PersonState,
    "PersonRecorded.language": Language,
    "TeamRecorded.target": TeamTarget,
    "Shift.day": Weekday,
    "ClientRecorded.tier": Tier,
    "ModuleRecorded.nature": Nature,
    "InstalledModule.nature": Nature,
    "EnvironmentUnknown.reason": UnknownReason,
}
NEW = "de-otro_tiempo-2"
NO_CODES = ["", "De otro tiempo", "Nuevo", "2-tiempos", "-nuevo", "ñandú", "n" * 41, 7, True, [], {}]


def each_code(*, with_copies: bool) -> list[Any]:
    """Every schema and every place in it where a code stands, as the cases of a test."""
    return [
        pytest.param(name, place, id=f"{name}:{'.'.join(map(str, place))}")
        for name, schema in all_schemas().items()
        if with_copies or not name.endswith(OPEN)
        for place in places(schema, is_code)
    ]


def value_of(name: str) -> dict[str, Any]:
    """The data of the example of a type, or of its open copy."""
    if not name.endswith(OPEN):
        return dict(example(name)["value"])
    return dict(open_example_of(BY_TYPE[name.removesuffix(OPEN)])["value"])


def codes_of(schema: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Part and field of every code of a schema, and the words that it names."""
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            # A field that holds one, perhaps, or several of them; a part of its own is met by itself.
            for leaf in (field, field.get("items", {}), *field.get("anyOf", ())):
                if is_code(leaf):
                    yield f"{part['title']}.{name}", tuple(leaf["examples"])


def names_in(schema: Any) -> Iterator[str]:
    """Every keyword and every name at any depth of a schema."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            yield name
            yield from names_in(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from names_in(inner)


@pytest.mark.parametrize(("name", "place"), each_code(with_copies=True))
def test_a_code_that_nobody_knows_yet_fits_the_schema(name: str, place: Place) -> None:
    Draft202012Validator(read_json(SCHEMAS / f"{name}.json")).validate(saying(value_of(name), place, NEW))


@pytest.mark.parametrize(("type_name", "place"), each_code(with_copies=False))
def test_a_code_that_nobody_knows_yet_is_read_as_it_is(type_name: str, place: Place) -> None:
    record = record_of(example(type_name))
    record.value = json.dumps(saying(value_of(type_name), place, NEW)).encode()
    assert said_at(record.read().data.model_dump(mode="json"), place) == NEW


@pytest.mark.parametrize(("type_name", "place"), each_code(with_copies=False))
def test_what_is_no_code_is_refused_and_named(type_name: str, place: Place) -> None:
    record, schema = record_of(example(type_name)), Draft202012Validator(read_json(SCHEMAS / f"{type_name}.json"))
    for said in NO_CODES:
        value = saying(value_of(type_name), place, said)
        record.value = json.dumps(value).encode()
        with pytest.raises(InvalidMessage, match=f"^data.{re.escape('.'.join(map(str, place)))}: "):
            record.read()
        assert not schema.is_valid(value), f"the schema takes {said!r}"


def test_a_schema_names_the_words_that_its_owner_writes() -> None:
    found = {code: words for event in BY_TYPE.values() for code, words in codes_of(schema_of(event))}
    assert found == {code: get_args(words) for code, words in WRITTEN.items()}


@pytest.mark.parametrize("type_name", TYPES)
def test_a_page_names_them_and_says_that_there_may_be_others(type_name: str) -> None:
    rows = (PAGES / f"{type_name}.md").read_text(encoding="utf-8").splitlines()
    for code, words in codes_of(schema_of(BY_TYPE[type_name])):
        said = f"code: {', '.join(f'`{word}`' for word in words)}, or another one later"
        of_the_field = [row for row in rows if row.startswith(f"| `{code.partition('.')[2]}` |")]
        assert any(said in row for row in of_the_field), code


@pytest.mark.parametrize("name", sorted(all_schemas()))
def test_no_field_is_one_of_some_words_for_ever(name: str) -> None:
    assert {"enum", "const"} & set(names_in(all_schemas()[name])) == set()


def test_a_word_more_changes_nothing_of_what_was_promised() -> None:
    schema = schema_of(BY_TYPE["desk.ticket.responded.v1"])
    before = meaning(schema)
    schema["properties"]["channel"]["examples"].append("carrier-pigeon")
    assert meaning(schema) == before
    assert before["properties"]["channel"]["format"] == OPEN_CODE
