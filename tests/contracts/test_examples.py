"""Each type has one example message, written by hand, that is what a consumer really receives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared.contracts import envelope
from shared.contracts.documents import EXAMPLES, SCHEMAS, all_schemas, read_json
from shared.contracts.envelope import StateRecord
from shared.contracts.topics import BY_TYPE, DEVLINK, SLA, TICKETS, TOPIC_OF
from tests.contracts.messages import TYPES, committed, example, record_of


def test_every_type_has_exactly_one_example() -> None:
    assert committed(EXAMPLES) == set(all_schemas())


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_validates_against_the_committed_schema(type_name: str) -> None:
    schema = read_json(SCHEMAS / f"{type_name}.json")
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(example(type_name)["value"])


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_is_read_as_its_event_with_its_own_key_and_subject(type_name: str) -> None:
    document = example(type_name)
    received = record_of(document).read()
    assert type(received.data) is BY_TYPE[type_name]
    assert received.type == type_name
    assert received.key == document["key"] == received.data.key()
    assert received.subject == received.data.subject()
    assert received.recorded_at >= received.occurred_at


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_comes_from_the_topic_and_the_owner_of_its_type(type_name: str) -> None:
    document, topic = example(type_name), TOPIC_OF[type_name]
    assert document["topic"] == topic.name
    assert document["headers"]["ce_source"] == f"/desk/{topic.owner}"


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_shows_every_field_and_no_other(type_name: str) -> None:
    value = example(type_name)["value"]
    fields = set(BY_TYPE[type_name].model_fields)
    assert set(value) <= fields, "a field that the class does not know"
    assert fields - set(value) == set(), "the example shows optional fields too: people copy it"


# What the ticket, the clock or the task is after the fact: people take the examples for how it goes.
AFTER: dict[str, dict[str, Any]] = {
    "desk.ticket.opened.v1": {"version": 1, "status": "new", "level": 1, "target": None, "assignee": None},
    "desk.ticket.assigned.v1": {"status": "in_progress"},
    "desk.ticket.escalated.v1": {"status": "in_progress", "assignee": None},
    "desk.ticket.responded.v1": {"status": "in_progress"},
    "desk.ticket.held.v1": {"status": "on_hold"},
    "desk.ticket.released.v1": {"status": "in_progress", "hold": None},
    "desk.ticket.resolved.v1": {"status": "resolved", "hold": None},
    "desk.ticket.reopened.v1": {"status": "in_progress", "hold": None},
    "desk.ticket.closed.v1": {"status": "closed", "hold": None},
    "desk.ticket.cancelled.v1": {"status": "cancelled", "hold": None},
    "desk.ticket.handed-over.v1": {"owner": "sofia.paredes"},
    "desk.ticket.participant-joined.v1": {"status": "in_progress"},
    "desk.ticket.participant-left.v1": {"status": "in_progress"},
    "desk.ticket.commented.v1": {"status": "in_progress"},
    "desk.ticket.linked.v1": {"status": "cancelled"},
    "desk.ticket.unlinked.v1": {"status": "in_progress"},
    "desk.ticket.classified.v1": {"status": "new", "installation_id": "supermercados-la-yapa-kontar", "assignee": None},
    "desk.ticket.deescalated.v1": {"status": "in_progress", "level": 2, "assignee": "martin.quiroga"},
    "desk.ticket.attention-raised.v1": {"assignee": "martin.quiroga"},
    "desk.ticket.attention-cleared.v1": {"assignee": "martin.quiroga"},
    "desk.sla-clock.started.v1": {"course": "running", "outcome": "pending", "elapsed_seconds": 0},
    "desk.sla-clock.paused.v1": {"course": "paused", "outcome": "pending", "due_at": None},
    "desk.sla-clock.resumed.v1": {"course": "running", "outcome": "pending", "pause_reason": None},
    "desk.sla-clock.retargeted.v1": {"course": "running", "outcome": "pending"},
    "desk.sla-clock.warned.v1": {"course": "running", "outcome": "pending"},
    "desk.sla-clock.breached.v1": {"course": "running", "outcome": "breached"},
    "desk.sla-clock.met.v1": {"course": "stopped", "outcome": "met", "breached_at": None},
    "desk.sla-clock.stopped.v1": {"course": "stopped", "outcome": "breached"},
    "desk.sla-clock.cancelled.v1": {"course": "cancelled", "outcome": "pending"},
    "desk.dev-task.linked.v1": {"status": "new", "declined_reason": None, "fix_version": None},
    "desk.dev-task.status-changed.v1": {"status": "fixed", "declined_reason": None},
}
STATES = ("ticket", "clock", "task")
# Which fields of a ticket each fact may change.
CHANGES: dict[str, set[str]] = {
    "desk.ticket.responded.v1": {"status"},
    "desk.ticket.escalated.v1": {"status", "level", "target", "team", "assignee"},
    "desk.ticket.held.v1": {"status", "hold"},
    "desk.ticket.released.v1": {"status", "hold"},
    "desk.ticket.resolved.v1": {"status", "hold"},
    "desk.ticket.closed.v1": {"status"},
    "desk.ticket.reopened.v1": {"status"},
    "desk.ticket.handed-over.v1": {"owner"},
    "desk.ticket.deescalated.v1": {"level", "target", "team", "assignee"},
    "desk.ticket.participant-joined.v1": set(),
    "desk.ticket.participant-left.v1": set(),
    "desk.ticket.commented.v1": set(),
    "desk.ticket.linked.v1": set(),
    "desk.ticket.unlinked.v1": set(),
    "desk.ticket.classified.v1": {"groups", "installation_id", "team"},
    "desk.ticket.attention-raised.v1": set(),
    "desk.ticket.attention-cleared.v1": set(),
}


def test_every_example_of_a_ticket_a_clock_or_a_task_carries_it_as_it_is_after_the_fact() -> None:
    carried = {
        name: example(name)["value"][state] for name in TYPES for state in STATES if state in example(name)["value"]
    }
    assert set(carried) == set(AFTER) == {event.type for topic in (TICKETS, SLA, DEVLINK) for event in topic.events}
    shown = {name: {field: state[field] for field in AFTER[name]} for name, state in carried.items()}
    assert shown == AFTER


def test_what_an_example_says_itself_is_what_its_state_says() -> None:
    escalated, held = example("desk.ticket.escalated.v1")["value"], example("desk.ticket.held.v1")
    assert (escalated["to_level"], escalated["target"]) == (escalated["ticket"]["level"], escalated["ticket"]["target"])
    hold = {"reason": held["value"]["reason"], "since": held["headers"]["ce_time"]}
    assert held["value"]["ticket"]["hold"] == hold | {"wake_at": None}
    assert held["value"]["reason"] != "agreed-date", "that one has an hour"
    handed, down = (example(f"desk.ticket.{name}.v1")["value"] for name in ("handed-over", "deescalated"))
    assert handed["owner"] == handed["ticket"]["owner"] != handed["previous_owner"]
    assert (down["to_level"], down["from_level"]) == (down["ticket"]["level"], down["ticket"]["level"] + 1)
    classified = example("desk.ticket.classified.v1")["value"]
    named = {name: classified["ticket"]["groups"][name] for name in ("product_id", "module_id")}
    assert {name: classified[name] for name in named} == named
    assert classified["installation_id"] == classified["ticket"]["installation_id"]
    assert classified["rerouted"]["from_team"] != classified["ticket"]["team"]
    assigned, warned = example("desk.ticket.assigned.v1")["value"], example("desk.sla-clock.warned.v1")["value"]
    assert assigned["assignee"] == assigned["ticket"]["assignee"] != assigned["previous_assignee"]
    assert warned["threshold"]["said_as"] == warned["clock"]["warned_as"]
    moved = example("desk.dev-task.status-changed.v1")
    assert moved["value"]["task"]["status_at"] == moved["headers"]["ce_time"]


def test_the_examples_of_one_ticket_are_one_story() -> None:
    """Who tries a consumer with them keeps a table that could be true."""
    story: dict[str, list[dict[str, Any]]] = {}
    for event in TICKETS.events:
        document = example(event.type)
        recorded = document["headers"]["ce_recordedtime"]
        told = {"type": event.type, "recorded": recorded, **document["value"]["ticket"]}
        story.setdefault(document["key"], []).append(told)
    for facts in story.values():
        facts.sort(key=lambda fact: fact["version"])
        for before, after in pairwise(facts):
            assert before["version"] < after["version"]
            assert before["recorded"] < after["recorded"], after["type"]
            # What happened between two examples is not shown; where none is left out, nothing else changed.
            changed = {name for name in before if before[name] != after[name]}
            if after["version"] == before["version"] + 1:
                assert changed <= {"type", "recorded", "version"} | CHANGES[after["type"]], after["type"]


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_has_the_headers_that_this_product_writes(type_name: str) -> None:
    document = example(type_name)
    received = record_of(document).read()
    cause = envelope.Cause(
        actor=received.actor,
        occurred_at=received.occurred_at,
        recorded_at=received.recorded_at,
        correlation_id=received.correlation_id,
        causation_id=received.causation_id,
        origin=received.origin,
        traceparent=received.traceparent,
    )
    headers = envelope.headers_of(
        id=received.id,
        source=received.source,
        type=received.type,
        subject=received.subject,
        sequence=received.sequence,
        cause=cause,
    )
    assert {name: text.decode() for name, text in headers} == document["headers"]


@pytest.mark.parametrize("type_name", [name for name in TYPES if issubclass(BY_TYPE[name], StateRecord)])
def test_a_state_record_is_keyed_by_its_noun_and_id(type_name: str) -> None:
    document = example(type_name)
    noun = type_name.removeprefix("desk.").removesuffix(".recorded.v1")
    assert document["key"] == f"{noun}:{document['value']['id']}"


def test_the_ids_of_the_examples_are_all_different() -> None:
    ids = [example(name)["headers"]["ce_id"] for name in TYPES]
    assert len(set(ids)) == len(ids)
