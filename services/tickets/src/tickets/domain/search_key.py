"""The form in which names are compared and sorted: nobody types accents while on the telephone."""

from __future__ import annotations

import unicodedata


def search_key(text: str) -> str:
    """Lower case, without accents, single spaces: `Ferretería  Ñandú` becomes `ferreteria nandu`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(bare.split())
