"""Ids of this product: new ones for what somebody does, derived ones for what follows from it.

New ones are of version 7, so that new rows land at the end of their index. Derived ones are the same whenever they are
made, so that whoever does it again, after a restore too, makes nothing twice.
"""

from datetime import datetime
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils

_DESK = uuid5(NAMESPACE_URL, "urn:desk")


def new_id() -> UUID:
    """A new UUIDv7. It deduplicates; it never orders (several processes make them)."""
    return UUID(int=uuid_utils.uuid7().int)


def made_of(noun: str, *cause: object) -> UUID:
    """The id (version 5) of a thing that a reaction makes, from its cause: `made_of("clock", ticket_id, kind, 1)`."""
    return uuid5(_DESK, _joined(noun, *cause))


def derived_id(milliseconds: int, *identity: object) -> UUID:
    """The id of an event that follows from something: the same for the same identity.

    In the layout of UUIDv7 (RFC 9562, section 5.7): the milliseconds since the epoch, then a hash in place of the
    random bits, so that it lands beside its cause in an index.
    """
    digest = int.from_bytes(sha256(_joined(*identity).encode()).digest()[:10], "big")
    version_and_a = 0x7000 | (digest >> 62) & 0x0FFF
    variant_and_b = (0b10 << 62) | digest & ((1 << 62) - 1)
    return UUID(int=((milliseconds & ((1 << 48) - 1)) << 80) | (version_and_a << 64) | variant_and_b)


def milliseconds_of(id: UUID, otherwise: datetime) -> int:
    """The instant within a UUIDv7; that of `otherwise` for an id of another version."""
    return id.int >> 80 if id.version == 7 else int(otherwise.timestamp() * 1000)


def _joined(*parts: object) -> str:
    # A separator that no part holds, so that ("a", "bc") is not ("ab", "c").
    return "\x1f".join(map(str, parts))
