"""Says what is wrong with a request and what to do about it, without repeating what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_ERRORS = 50
_LONGEST_NAME = 64
_WHERE = {"body": "body", "query": "query", "path": "path", "header": "header", "cookie": "header"}

# The messages of pydantic that are not here may quote the input or say only what is wrong.
_ADVICE: dict[str, str] = {
    "missing": "Add this; it is required.",
    "extra_forbidden": "Leave this out; it is not known here.",
    "string_type": "Send a text.",
    "string_too_short": "Write at least {min_length} characters.",
    "string_too_long": "Write at most {max_length} characters.",
    "string_pattern_mismatch": "Send a text of the form {pattern}.",
    "string_unicode": "Send valid Unicode text, without half characters (lone surrogates).",
    "int_type": "Send a whole number.",
    "int_parsing": "Send a whole number.",
    "int_from_float": "Send a whole number.",
    "int_parsing_size": "Send a smaller number.",
    "float_type": "Send a number.",
    "float_parsing": "Send a number.",
    "finite_number": "Send a finite number.",
    "bool_type": "Send true or false.",
    "bool_parsing": "Send true or false.",
    "greater_than": "Send a value greater than {gt}.",
    "greater_than_equal": "Send a value of at least {ge}.",
    "less_than": "Send a value less than {lt}.",
    "less_than_equal": "Send a value of at most {le}.",
    "multiple_of": "Send a multiple of {multiple_of}.",
    "too_short": "Send at least {min_length} items.",
    "too_long": "Send at most {max_length} items.",
    "literal_error": "Send one of {expected}.",
    "enum": "Send one of {expected}.",
    "union_tag_not_found": "Add {discriminator}, which says what this is.",
    "union_tag_invalid": "Send one of {expected_tags} as {discriminator}.",
    "uuid_type": "Send a UUID.",
    "uuid_parsing": "Send a UUID.",
    "uuid_version": "Send a UUID of version {expected_version}.",
    "datetime_type": "Send an instant such as 2026-11-02T14:03:00-03:00.",
    "datetime_parsing": "Send an instant such as 2026-11-02T14:03:00-03:00.",
    "datetime_from_date_parsing": "Send an instant such as 2026-11-02T14:03:00-03:00.",
    "datetime_object_invalid": "Send an instant such as 2026-11-02T14:03:00-03:00.",
    "instant_as_number": "Send an instant as a text, such as 2026-11-02T14:03:00-03:00.",
    "instant_out_of_range": "Send an instant of the years {first} to {last}.",
    "timezone_aware": "Add the offset to the instant, such as -03:00 or Z.",
    "date_type": "Send a date such as 2026-11-02.",
    "date_parsing": "Send a date such as 2026-11-02.",
    "date_from_datetime_parsing": "Send a date such as 2026-11-02.",
    "list_type": "Send a list.",
    "dict_type": "Send an object.",
    "model_type": "Send an object.",
    "model_attributes_type": "Send a JSON object, with the header Content-Type: application/json.",
    "url_parsing": "Send a URL.",
    "url_scheme": "Send a URL that begins with one of {expected_schemes}.",
    "control_characters": "Leave out control characters; line breaks and tabulators are welcome.",
    "one_line": "Write one line, without line breaks.",
    "tabulator": "Write spaces instead of tabulators.",
    "blank_text": "Write something that can be seen: invisible characters alone are nothing.",
    "unstorable_text": "Leave out NUL and half characters (lone surrogates).",
}
_ONLY_KNOWN = "Leave this out; what this address knows is: {known}."


def problems_of_input(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The `errors` member of a problem: where (a pointer into the body, or a parameter), what kind, what to do."""
    return [_problem_of(error) for error in errors[:MOST_ERRORS]]


def pointer_to(parts: Sequence[str | int]) -> str:
    """A JSON pointer in its URI fragment form, as RFC 9457 shows it (`#/client/name`)."""
    names = (str(part)[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1") for part in parts)
    text = "#" + "".join(f"/{name}" for name in names)
    # A name may itself hold half a character; what is answered is always valid UTF-8.
    return text.encode("utf-8", "replace").decode()


def _problem_of(error: Mapping[str, Any]) -> dict[str, str]:
    place, *rest = error.get("loc") or ("body",)
    kind = str(error.get("type", "invalid"))
    told = {"in": _WHERE.get(str(place), "body")}
    if told["in"] == "body":
        told["pointer"] = pointer_to(rest if place == "body" else [place, *rest])
    else:
        told["parameter"] = ".".join(str(part)[:_LONGEST_NAME] for part in rest)
    return told | {"code": kind.replace("_", "-"), "message": _advice(kind, error)}


def _advice(kind: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    if kind in {"value_error", "assertion_error"}:
        # These come from this product's own validators, whose messages do not quote the input.
        return str(context.get("error", "Send a valid value."))
    if kind == "extra_forbidden" and "known" in context:
        known = context["known"]
        return _ONLY_KNOWN.format(known=known) if known else "Leave this out; this address knows no parameters."
    advice = _ADVICE.get(kind, "Send a valid value; see /openapi.json.")
    try:
        return advice.format(**context)
    except (KeyError, IndexError):
        return "Send a valid value; see /openapi.json."
