"""Loading reference data from a file through the same commands as the API, so that every row leaves by the outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.errors import Invalid

# load(tx, cause, document) -> rows that changed; an equal row changes nothing and publishes nothing.
Loader = Callable[[Transaction, Cause, Any], Awaitable[int]]


class BadDocument(Invalid):
    """The file does not say what a document of this service says."""

    code = "bad-document"
    title = "The file cannot be loaded"


def read_document(path: Path, model: type[BaseModel]) -> BaseModel:
    """The document in a YAML file, checked against its model. Raises BadDocument, naming the place and the problem."""
    try:
        # The safe loader in C where PyYAML was built with it: ten times as fast on the seed.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadDocument(f"{path}: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadDocument(f"{path}: {where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error
