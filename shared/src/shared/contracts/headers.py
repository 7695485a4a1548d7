"""The headers of every record, described for people and for machines: CloudEvents 1.0 in Kafka's binary mode."""

from __future__ import annotations

from typing import Any

_TIME = {"type": "string", "format": "date-time"}

# One schema for each header. What the envelope writes is held against it by the tests.
HEADERS: dict[str, dict[str, Any]] = {
    "ce_specversion": {"type": "string", "const": "1.0", "description": "the version of CloudEvents"},
    "ce_id": {
        "type": "string",
        "format": "uuid",
        "description": "the identity of the event: what you deduplicate on, and the id of the fact in every history",
    },
    "ce_source": {"type": "string", "pattern": "^/desk/[a-z]+$", "description": "the service that tells it"},
    "ce_type": {"type": "string", "description": "what happened, and in which version it is told"},
    "ce_subject": {"type": "string", "description": "the id of what it is about"},
    "ce_time": {**_TIME, "description": "when it happened in the world, UTC; before `ce_recordedtime` when told late"},
    "ce_recordedtime": {**_TIME, "description": "when this system took note of it, UTC"},
    "ce_dataschema": {"type": "string", "format": "uri", "description": "the name of the JSON Schema of the value"},
    "ce_sequence": {
        "type": "string",
        "pattern": "^[0-9]{19}$",
        "description": "grows within a source; zero-padded, so that it orders as text too. Gaps are normal",
    },
    "ce_origin": {
        "type": "string",
        "enum": ["live", "import"],
        "description": "`import`: history that was taken over; nothing may be set in motion by it",
    },
    "ce_actor": {"type": "string", "description": "who did it: a user, `system:<service>`, `integration:<name>`"},
    "ce_correlationid": {"type": "string", "description": "the request with which it all began"},
    "ce_causationid": {"type": "string", "description": "the event that caused this one, where one did"},
    "ce_traceparent": {"type": "string", "description": "W3C trace context, where the request was traced"},
    "content-type": {"type": "string", "const": "application/json"},
}
OPTIONAL = ("ce_causationid", "ce_traceparent")


def headers_schema() -> dict[str, Any]:
    """The JSON Schema of all headers of a record, their texts decoded from UTF-8. Later versions may add others."""
    required = [name for name in HEADERS if name not in OPTIONAL]
    return {"type": "object", "required": required, "properties": HEADERS}
