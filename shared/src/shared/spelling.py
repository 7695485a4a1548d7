"""The one form in which names are compared: on the telephone nobody spells them as they are written.

What is stored and what is asked for go through the same functions, so neither has to be guessed. Letters and digits
count; capitals, accents, punctuation and, in a search, spaces do not.
"""

from __future__ import annotations

import unicodedata

from shared.visible import is_shown

# A list is sorted by it and its cursor carries it, so it has a bound: a name of 200 letters may unfold to many more.
LONGEST_SORT_KEY = 400

# They stand inside a word and are left out; any other mark ends one: S.R.L., O'Higgins. An acute accent that stands
# alone is an apostrophe, too, for whoever does not find the right key.
_INSIDE_WORDS = str.maketrans(dict.fromkeys(".'`\u00b4\u2018\u2019\u02bb\u02bc\u02b9\uff07\u00b7"))
# Letters that Unicode takes for whole and everybody else for a letter with something across it, or for two.
_WRITTEN_AS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def sort_key(name: str) -> str:
    """The name as lists are sorted: `Ferretería  Ñandú S.R.L.` becomes `ferreteria nandu srl`. At most 400 characters.

    A name without a letter or digit is its own signs.
    """
    return " ".join(_words(name))[:LONGEST_SORT_KEY].rstrip()


def search_key(text: str) -> str:
    """The text as it is searched in, without spaces, as nobody knows where one stands: `altoparanasa`, `30712345678`.

    Of a sort key and of its text the search keys are equal, as far as the bound of the sort key goes.
    """
    return "".join(_words(text))


def search_words(question: str) -> list[str]:
    """The words of a question, each as it is looked for in a search key; none for a question of nothing."""
    words = ["".join(_letters(word).split()) for word in question.split()]
    return [word for word in words if word] or [key for key in [search_key(question)] if key]


def _words(text: str) -> list[str]:
    signs = ("".join(filter(is_shown, word)) for word in _folded(text).split())
    return _letters(text).split() or [word for word in signs if word]


def _letters(text: str) -> str:
    return "".join(map(_letter, _folded(text)))


def _letter(sign: str) -> str:
    """A letter or digit as it is, nothing for what cannot be seen, and a space for what stands between words."""
    if sign.isalnum() and is_shown(sign):
        return sign
    return "" if unicodedata.category(sign)[0] == "M" or unicodedata.category(sign) == "Cf" or sign.isalnum() else " "


def _folded(text: str) -> str:
    """Without capitals and with every sign taken apart: Unicode's compatibility caseless match (Unicode, D146)."""
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text.translate(_INSIDE_WORDS)).casefold())
    return unicodedata.normalize("NFKD", once.casefold()).translate(_WRITTEN_AS).translate(_INSIDE_WORDS)
