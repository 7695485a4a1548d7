"""What of a text can be seen: whether anything is there for a reader, and where its lines end."""

from __future__ import annotations

import re
import unicodedata

# Letters and symbols by their category, and blank on every screen: the fillers of Hangul, the empty cell of Braille,
# and a musical sign that has no shape.
_BLANK_SIGNS = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159")
# What no character will ever stand at, and what is to be ignored whatever may stand there.
_RESERVED = re.compile(
    "[\u2065\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)

# What ends a line for whoever shows a text, beside LF: of Windows, NEL, and Unicode's own line and paragraph separator.
_BREAKS = re.compile("\r\n|[\x85\u2028\u2029]")


def is_shown(sign: str) -> bool:
    """Whether a character shows something by itself: a letter, a digit, a mark of punctuation, a symbol.

    Spaces, control and format characters, private ones, and marks that only change another character do not. One that
    this Python does not know yet does: it may be the symbol of a later Unicode.
    """
    category = unicodedata.category(sign)
    if category == "Cn":
        return not _RESERVED.match(sign)
    return category[0] in "LNPS" and sign not in _BLANK_SIGNS


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return not any(map(is_shown, text))


def has_breaks(text: str) -> bool:
    """Whether a text has more than one line, for whoever shows it."""
    return any(sign in text for sign in "\n\r\x85\u2028\u2029")


def with_plain_breaks(text: str) -> str:
    """The text with every line break as LF."""
    return _BREAKS.sub("\n", text)
