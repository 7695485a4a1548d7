"""What every door of tickets shares: bodies that know their fields, pages, and answers that PostgreSQL has written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from shared.http.etag import etag_of
from shared.http.paging import Keyset


class Body(BaseModel):
    """What a caller sends; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


def page(keyset: Keyset, rows: Sequence[tuple[Any, ...]], limit: int) -> Response:
    """A page of rows whose last column is their JSON; the columns before it are the sort values."""
    found = keyset.page(rows, limit, lambda row: row[:-1])
    items = ",".join(row[-1] for row in found.items)
    return written_by_the_database(f'{{"items":[{items}],"next":{json.dumps(found.next)},"limit":{limit}}}')


def written_by_the_database(body: str, **headers: str) -> Response:
    """An answer that PostgreSQL has written. It is personal, so nothing on the way may keep it."""
    return Response(body, media_type="application/json", headers={"cache-control": "no-store", **headers})


def record(version: int, body: str) -> Response:
    """An answer about one record, with its version."""
    return written_by_the_database(body, etag=etag_of(version))
