"""The AsyncAPI 3 document of the events, made from the registry: of the whole system, or of one service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from shared.contracts.consumers import CONSUMERS, services
from shared.contracts.documents import HERE, example_of, open_example_of, open_schema_of, render, schema_of
from shared.contracts.envelope import Event, StateRecord
from shared.contracts.headers import headers_schema
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import OPEN_COPIES, TOPICS, OpenCopy, Topic, topic_of

ASYNCAPI = HERE / "asyncapi.json"
MEDIA_TYPE = "application/vnd.aai.asyncapi+json;version=3.0.0"

_BINDING = "0.5.0"
_VERBS = {"send": "publishes", "receive": "reacts to"}
_DESCRIPTION = (
    "What the services of PSA Desk tell each other and the company's other systems. CloudEvents 1.0 over Kafka in "
    "binary mode: attributes are `ce_*` headers, the value is plain JSON. Delivery is at least once and in order per "
    "key: deduplicate on `ce_id`. Where an installation shares a cluster, its topics have a prefix before the address."
)


@dataclass(frozen=True)
class Operation:
    """What one service does on one topic, and with which of its types."""

    service: str
    action: Literal["send", "receive"]
    topic: Topic
    events: tuple[type[Event], ...]

    @property
    def id(self) -> str:
        """Its name in the document, such as `sla.receive.desk.tickets.v1`."""
        return f"{self.service}.{self.action}.{self.topic.name}"


def operations_of(service: str) -> list[Operation]:
    """What a service sends, then what it receives; empty for a name that the registry does not know."""
    owned = [topic for topic in (*TOPICS, *OPEN_COPIES) if topic.owner == service]
    sent = [Operation(service, "send", topic, topic.events) for topic in owned]
    wanted = CONSUMERS.get(service, ())
    received = [
        Operation(service, "receive", topic, events)
        for topic in TOPICS
        if (events := tuple(event for event in topic.events if event in wanted))
    ]
    return [*sent, *received]


def document(service: str | None = None) -> dict[str, Any]:
    """The document of one service (its own events and those that it reacts to), or of all when none is named.

    Reads the committed examples: raises OSError when a type has none.
    """
    operations = [one for name in ([service] if service else services()) for one in operations_of(name)]
    used = {event for operation in operations for event in operation.events}
    events = [event for topic in TOPICS for event in topic.events if event in used]
    copies = [one.topic for one in operations if isinstance(one.topic, OpenCopy)]
    copied = [event for topic in dict.fromkeys(copies) for event in topic.events]
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:desk:events:{service}" if service else "urn:desk:events",
        "info": {
            "title": f"PSA Desk: events of {service}" if service else "PSA Desk: events",
            "version": "1",
            "description": _DESCRIPTION,
            "tags": [{"name": name} for name in services()],
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {
            topic.name: _channel(topic, events)
            for topic in dict.fromkeys([*(topic_of(one) for one in events), *(one.topic for one in operations)])
        },
        "operations": {operation.id: _operation(operation) for operation in operations},
        "components": {
            "messages": {
                **{event.type: _message(event) for event in events},
                **{f"{event.type}{OPEN}": _open_message(event) for event in copied},
            },
            "schemas": {
                "Headers": headers_schema(),
                **_schemas(
                    [(event.type, schema_of(event)) for event in events]
                    + [(f"{event.type}{OPEN}", open_schema_of(event)) for event in copied]
                ),
            },
        },
    }


@lru_cache(maxsize=16)
def text(service: str | None = None) -> str:
    """The document as it is committed and served; made once."""
    return render(document(service))


def _name(event: type[Event], topic: Topic) -> str:
    """What the message is called: a type, or a type without what is personal in it."""
    return f"{event.type}{OPEN}" if isinstance(topic, OpenCopy) else event.type


def _server() -> dict[str, Any]:
    # The address is the installation's own matter; the default is where `make up` puts its broker.
    address = {"default": "127.0.0.1:8496", "description": "DESK_KAFKA_BOOTSTRAP of the installation"}
    return {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": address}}


def _channel(topic: Topic, events: Iterable[type[Event]]) -> dict[str, Any]:
    kept = "compacted: the last record of each key stays" if topic.cleanup == "compact" else "an append-only log"
    closed = " Personal data: closed to outsiders." if topic.is_personal() else ""
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"Written by {topic.owner} alone; {kept}. Key: {topic.keyed_by}.{closed}",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {
            _name(event, topic): {"$ref": f"#/components/messages/{_name(event, topic)}"}
            for event in events
            if event in topic.events
        },
        "tags": [{"name": topic.owner}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": _BINDING,
            }
        },
        "x-personal-data": topic.is_personal(),
    }


def _configuration(topic: Topic) -> dict[str, Any]:
    """The topic's settings in the types that the binding wants: a list of policies, numbers as numbers."""
    return {
        name: value.split(",") if name == "cleanup.policy" else int(value) if value.isdecimal() else value
        for name, value in topic.config().items()
    }


def _operation(operation: Operation) -> dict[str, Any]:
    channel = f"#/channels/{operation.topic.name}"
    return {
        "action": operation.action,
        "title": f"{operation.service} {_VERBS[operation.action]} {operation.topic.name}",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_name(event, operation.topic)}"} for event in operation.events],
        "tags": [{"name": operation.service}],
    }


def _message(event: type[Event]) -> dict[str, Any]:
    example, topic = example_of(event), topic_of(event)
    own = {
        "ce_type": {"const": event.type},
        "ce_source": {"const": topic.source},
        "ce_dataschema": {"const": f"urn:desk:schema:{event.type}"},
    }
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"allOf": [{"$ref": "#/components/schemas/Headers"}, {"type": "object", "properties": own}]},
        "payload": {"$ref": f"#/components/schemas/{event.type}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": _key(event, example["key"]), "bindingVersion": _BINDING}},
        "examples": [{"name": event.__name__, "headers": example["headers"], "payload": example["value"]}],
    }


def _open_message(event: type[Event]) -> dict[str, Any]:
    """The same message as the open copy tells it: type, id and key are those of the first."""
    message, example = _message(event), open_example_of(event)
    own = {
        **message["headers"]["allOf"][1]["properties"],
        "ce_dataschema": {"const": example["headers"]["ce_dataschema"]},
    }
    return {
        **message,
        "title": f"{event.__name__}, open copy",
        "headers": {"allOf": [message["headers"]["allOf"][0], {"type": "object", "properties": own}]},
        "payload": {"$ref": f"#/components/schemas/{event.type}{OPEN}"},
        "examples": [{"name": event.__name__, "headers": example["headers"], "payload": example["value"]}],
    }


def _key(event: type[Event], example: str) -> dict[str, Any]:
    described = {"description": topic_of(event).keyed_by, "examples": [example]}
    if issubclass(event, StateRecord):
        of_id = event.model_json_schema()["properties"]["id"]["pattern"].removeprefix("^")
        return {"type": "string", "pattern": f"^{event.noun}:{of_id}", **described}
    return {"type": "string", "format": "uuid", **described}


def _schemas(named: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The schemas of the data, and once each the parts that they are made of.

    Raises ValueError when two events mean different parts by the same name.
    """
    schemas: dict[str, Any] = {}
    for name_of_all, whole in named:
        # AsyncAPI's own dialect is a superset of draft 7; the name of another one, and an id, would be in its way.
        schema = _pointed_anew({name: part for name, part in whole.items() if name not in {"$schema", "$id"}})
        for name, part in [*schema.pop("$defs", {}).items(), (name_of_all, schema)]:
            if schemas.setdefault(name, part) != part:
                raise ValueError(f"{name_of_all}: another event means something else by the part {name}")
    return schemas


def _pointed_anew(schema: Any) -> Any:
    """A schema whose references find its parts among the components of the document."""
    if isinstance(schema, list):
        return [_pointed_anew(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _pointed_anew(value)
        for name, value in schema.items()
    }
