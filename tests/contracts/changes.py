"""The schema of an opened ticket, and what somebody may do to it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from shared.contracts.documents import SCHEMAS, read_json

OPENED = read_json(SCHEMAS / "desk.ticket.opened.v1.json")


def changed(change: str) -> dict[str, Any]:
    """The schema of an opened ticket after one careless or careful change."""
    schema = deepcopy(OPENED)
    properties, brief = schema["properties"], schema["$defs"]["TicketBrief"]
    if change == "optional field":
        properties["weather"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    elif change == "required field":
        properties["weather"] = {"type": "string"}
        schema["required"].append("weather")
    elif change == "field of a part became required":
        schema["$defs"]["Groups"]["required"].append("product_id")
    elif change == "field removed":
        del properties["ticket"]
        schema["required"].remove("ticket")
    elif change == "field of a part removed":
        del brief["properties"]["reported_at"]
        brief["required"].remove("reported_at")
    elif change == "optional field removed":
        del properties["impact"]
    elif change == "one more word":
        properties["channel"]["examples"].append("carrier-pigeon")
    elif change == "other form of codes":
        properties["channel"]["pattern"] = "^.*$"
    elif change == "other type":
        brief["properties"]["version"] = {"type": "string"}
    elif change == "wider range":
        brief["properties"]["severity"]["maximum"] = 5
    elif change == "no longer required":
        schema["required"].remove("title")
    return schema
