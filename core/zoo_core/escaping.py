"""Names that anybody may have given, such as those of folders, in a form that a line can show."""

from __future__ import annotations

import unicodedata

# Indic and Arabic scripts and emoji are written with them; by themselves they show nothing.
JOINERS = "\u200c\u200d"
_BYTES = range(0xDC80, 0xDD00)


def escaped(text: str) -> str:
    r"""Return ``text`` as one line, with an escape for each character that cannot be shown.

    These are control characters and line ends (``\n``, ``\x1b``, ``\u2029``), those that turn the direction of writing
    (``\u202e``), and the bytes of a file's name that are not UTF-8 (``\xff``). A backslash stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(character if _can_be_shown(character) else escape(character) for character in text)


def escape(character: str) -> str:
    r"""Return the escape of a character: ``\xe9``, ``\u5317``, ``\U0001f600``; ``\xff`` of a byte that is not UTF-8."""
    code = ord(character)
    # Python reads such a byte as half a surrogate pair.
    return f"\\x{code - 0xDC00:02x}" if code in _BYTES else character.encode("unicode_escape").decode("ascii")


def _can_be_shown(character: str) -> bool:
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"
