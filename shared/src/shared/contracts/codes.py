"""Codes: the open words of the language. Their owner writes the documented ones, a reader takes any.

So a new status, channel or reason is no new version of an event, and parks nobody's messages: a reader shows a code
that it does not know as it is.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Field
from pydantic.fields import FieldInfo

# What the schema calls such a field, for whoever reads it by machine.
OPEN_CODE = "open-code"

# Whoever does something, as the identity provider calls it (`sub`), an integration, or a service of this product.
PersonId = Annotated[
    str, Field(pattern=r"^[\x21-\x7e]{1,128}$", examples=["lucia.ferreyra"], description="the id of a person")
]


def written(values: Any) -> FieldInfo:
    """Marks a text that is a code. `values` is the Literal of those that the owner of the event writes today."""
    extra: dict[str, Any] = {"format": OPEN_CODE, "examples": list(get_args(values))}
    mark: FieldInfo = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", json_schema_extra=extra)
    return mark
