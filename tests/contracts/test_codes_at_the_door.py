"""What a service is told to write is one of the documented words: its doors and files take no other code."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

import pytest
from fastapi import FastAPI

from shared.contract_choice import Standing
from shared.contracts.devlink import TaskStatus
from shared.contracts.inventory import Nature, Tier
from shared.contracts.sla import ClockKind, ContractType
from shared.contracts.teams import Language, PersonState, TeamTarget, Weekday
from shared.contracts.tickets import AttentionReason, Channel, HoldReason, Kind, ParticipantRole, Relation, Target
from shared.http.routers import routers_of
from sla.domain.calendar import DayKind
from tests.contracts.messages import is_code
from tests.rules.source import SERVICES

# What a rule of priority may ask for, in a body as in a file.
CONDITIONS = {"ConditionFacts.kind": Kind, "ConditionFacts.contract": Standing}
# What calendars and targets may say, in a body as in a file.
CALENDARS = {"DayFacts.kind": DayKind, "YearlyDayFacts.kind": DayKind}
TARGETS = {"TargetFacts.clock": ClockKind, "TargetFacts.kinds": Kind}
# Each service → what callers send it, and the words that each closed field takes.
BODIES: dict[str, dict[str, Any]] = {
    "tickets": {
        "OpenTicketBody.kind": Kind,
        "OpenTicketBody.channel": Channel,
        "PreviewBody.kind": Kind,
        **CONDITIONS,
        "EscalateBody.target": Target,
        "HoldBody.reason": HoldReason,
        "RespondBody.channel": Channel,
        "ParticipantBody.role": ParticipantRole,
        "LinkBody.relation": Relation,
        "AnswerBody.reason": AttentionReason,
        "OwnFacts.language": Language,
        "PersonFacts.language": Language,
        "PersonFacts.state": PersonState,
        "ShiftFacts.day": Weekday,
        "TeamFacts.target": TeamTarget,
    },
    "sla": {
        **CALENDARS,
        "CalendarFacts.closed_on": DayKind,
        **TARGETS,
        "ContractTypeFacts.pausing_holds": HoldReason,
        "ContractFacts.contract_type": ContractType,
        "ContractFacts.pausing_holds": HoldReason,
    },
    "inventory": {"ClientFacts.tier": Tier, "ModuleFacts.nature": Nature},
    "devlink": {"Move.status": TaskStatus},
}
FILES: dict[str, dict[str, Any]] = {
    "tickets": {
        "PersonRecord.language": Language,
        "PersonRecord.state": PersonState,
        "TeamRecord.target": TeamTarget,
        **CONDITIONS,
        "ShiftFacts.day": Weekday,
    },
    "sla": {
        **CALENDARS,
        "CalendarRecord.closed_on": DayKind,
        **TARGETS,
        "ContractTypeRecord.id": ContractType,
        "ContractTypeRecord.pausing_holds": HoldReason,
        "ContractRecord.contract_type": ContractType,
        "ContractRecord.pausing_holds": HoldReason,
    },
    "inventory": {"ClientRecord.tier": Tier, "ModuleRecord.nature": Nature},
}


def inside(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and every other one in it."""
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from inside(inner)


def parts_of(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The named parts that a schema is made of, at any depth."""
    found: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for each in inside(waiting.pop()):
            name = str(each.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = parts[name]
                waiting.append(parts[name])
    return found


def sent_to(service: str) -> dict[str, Any]:
    """The parts of all bodies that a service takes."""
    app = FastAPI()
    for router in routers_of(import_module(f"{service}.api")):
        app.include_router(router)
    described = app.openapi()
    bodies = [method["requestBody"] for path in described["paths"].values() for method in path.values()
              if "requestBody" in method]  # fmt: skip
    return parts_of({"bodies": bodies}, described["components"]["schemas"])


def closed(parts: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Part and field of everything that takes only some words, and which."""
    return {
        f"{part}.{name}": tuple(each["enum"])
        for part, schema in parts.items()
        for name, field in schema.get("properties", {}).items()
        for each in inside(field)
        if "enum" in each
    }


def words(table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """A table with the words themselves."""
    return {field: get_args(literal) for field, literal in table.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_a_door_takes_only_the_documented_words(service: str) -> None:
    parts = sent_to(service)
    assert closed(parts) == words(BODIES[service])
    assert [each for each in inside(parts) if is_code(each)] == [], "it would be written as it was sent"


@pytest.mark.parametrize("service", FILES)
def test_a_file_takes_only_the_documented_words(service: str) -> None:
    whole = import_module(f"{service}.documents").Document.model_json_schema()
    parts = parts_of(whole, whole["$defs"])
    assert closed(parts) == words(FILES[service])
    assert [each for each in inside(parts) if is_code(each)] == []


def test_a_door_that_takes_any_code_is_seen() -> None:
    parts = {"Body": {"properties": {"channel": {"anyOf": [{"type": "string", "format": "open-code"}]}}}}
    assert closed(parts) == {}
    assert any(is_code(each) for each in inside(parts))
