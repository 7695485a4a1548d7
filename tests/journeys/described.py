"""A check of Schemathesis' own kind: what the description allows, the edge does not call malformed."""

from __future__ import annotations

import json
import uuid
from typing import Any

import schemathesis
from schemathesis import GenerationMode

# A refusal of these codes says that the form is wrong. Rules between fields and between records have codes of their
# own: no description tells them.
FORM = {"invalid-request", "unreadable-body", "malformed-condition"}
LONGEST_KEY = 256
# JSON Schema's date-time knows no bounds, and no pattern that is readable knows all characters that cannot be seen.
BEYOND_DESCRIPTION = {"instant-out-of-range", "blank-text"}


@schemathesis.check
def described_form_is_accepted(_ctx: Any, response: Any, case: Any) -> bool | None:
    """Fails for a request that follows the description and is refused for its form."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or response.status_code < 400:
        return None
    if _is_beyond_description(case.headers or {}):
        return None
    problem = json.loads(response.content or b"{}")
    told = {error["code"] for error in problem.get("errors", ())} - BEYOND_DESCRIPTION
    assert problem.get("code") not in FORM or (problem.get("errors") and not told), f"refused for its form: {problem}"
    return None


def _is_beyond_description(headers: Any) -> bool:
    """No description can say that there may be one of two; and an empty value is sent for want of a long tag."""
    conditions = [headers[name] for name in ("If-Match", "If-None-Match") if name in headers]
    return len(conditions) == 2 or "" in conditions


@schemathesis.hook
def before_call(_ctx: Any, case: Any, _kwargs: Any) -> None:
    """Gives a faulty request a key of its own: under one that was used before it would get the answer of then."""
    key = (case.headers or {}).get("Idempotency-Key", "")
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE and 0 < len(key) < LONGEST_KEY:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
