"""Ids of this product: UUID version 7, so that new rows land at the end of their index."""

from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """A new UUIDv7. It deduplicates; it never orders (several processes make them)."""
    return UUID(int=uuid_utils.uuid7().int)
