"""Names: how they are compared and sorted, whatever the collations of the database."""

from __future__ import annotations

import unicodedata


def name_key(name: str) -> str:
    """The name without accents, in lower case, with single spaces: 'Casa  Ñandú' becomes 'casa nandu'."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return " ".join(plain.casefold().split())
