"""Make up words, numbers and dates in several scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

Script = Literal["latin", "cyrillic", "greek", "armenian", "georgian", "ideographs"]

# A syllable is a consonant and a vowel; the choice of letters makes words look like those of a language.
_LETTERS: dict[Script, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "latin": (
        (*tuple("bdfgklmnprstvzjh"), "ch", "br", "st", "tr", "ll", "sh", "qu"),
        (*tuple("aeiouéö"), "ia", "an", "er", "in"),
    ),
    "cyrillic": (tuple("бвгджзклмнпрстфхчш"), (*tuple("аеиоуыя"), "ов", "ий")),
    "greek": (tuple("βγδζθκλμνπρστφχψ"), (*tuple("αεηιουω"), "ος", "ης")),
    "armenian": (tuple("բգդզթլխծկհձմնշպջռսվտրփք"), tuple("աեէըիօո")),
    "georgian": (tuple("ბგდვზთკლმნპჟრსტფქღშჩცძწჭხჯჰ"), tuple("აეიოუ")),
    "ideographs": (tuple(chr(code) for code in range(0xE000, 0xE100)), ("",)),
}
CASED: tuple[Script, ...] = ("latin", "cyrillic", "greek")

LABELS = (
    "Surname", "Given names", "Name", "Date of birth", "Place of birth", "Nationality", "Sex", "Height", "Address",
    "Valid until", "Date of issue", "Authority", "Card no.", "Personal no.", "Signature", "Nom", "Prénoms",
    "Né(e) le", "Délivré le", "Nationalité", "Familienname", "Vornamen", "Geburtstag", "Gültig bis", "Behörde",
    "Apellidos", "Nombres", "Fecha", "Sexo", "Domicilio", "Cognome", "Nome", "Nato il", "Scadenza", "Apelido",
    "Nazwisko", "Imiona", "Sukunimi", "Efternamn", "Ad Soyad", "Status", "Class", "Number", "Type", "Code",
)  # fmt: skip
TITLES = {
    "identity": ("IDENTITY CARD", "CARTE D'IDENTITE", "PERSONALAUSWEIS", "CEDULA DE IDENTIDAD", "RESIDENT PERMIT",
                 "CARTA D'IDENTITA", "HEALTH CARD", "STUDENT CARD", "EMPLOYEE ID", "KIMLIK KARTI", "MEMBER CARD"),
    "licence": ("DRIVING LICENCE", "DRIVER LICENSE", "PERMIS DE CONDUIRE", "FUHRERSCHEIN", "LICENCIA DE CONDUCIR",
                "PRAWO JAZDY", "PATENTE DI GUIDA", "KORKORT"),
    "passport": ("PASSPORT", "PASSEPORT", "REISEPASS", "PASAPORTE", "PASSAPORTO", "PASZPORT"),
    "form": ("APPLICATION FORM", "TAX RETURN", "DECLARATION", "REGISTRATION", "INVOICE", "ANTRAG", "FORMULAIRE",
             "ORDER FORM", "CERTIFICATE", "CUSTOMS", "CLAIM"),
    "ticket": ("BOARDING PASS", "CONCERT", "FESTIVAL", "ADMIT ONE", "CINEMA", "TRAIN TICKET", "MATCH DAY", "MUSEUM",
               "LOTTERY", "VOUCHER", "THEATRE"),
    "bank": ("PLATINUM", "titanium", "World", "Signature", "Business", "Gold", "DEBIT", "Infinite", "Classic",
             "Rewards", "Travel", "Cash Back", "Student", "PREPAID"),
}  # fmt: skip
_TOKEN = re.compile(r"(#+|@|\{[dmysUw]\})")
_FILLERS: dict[str, Callable[[int], str]] = {
    "@": lambda number: chr(65 + number % 26),
    "{d}": lambda number: f"{1 + number % 28:02d}",
    "{m}": lambda number: f"{1 + number % 12:02d}",
    "{y}": lambda number: str(1940 + number % 95),
    "{s}": lambda number: f"{14 + number % 22:02d}",
}


def make_word(generator: np.random.Generator, script: Script) -> str:
    """Make up a word, capitalised where the script has capitals."""
    return _spell(int(generator.integers(2**63)), script)


class Pattern:
    """A pattern that is filled with made-up content.

    ``#`` is a digit, ``@`` a capital, ``{w}`` a word, ``{U}`` a word in capitals, ``{d}``, ``{m}``, ``{y}`` day, month
    and year, ``{s}`` two digits of a recent year.
    """

    __slots__ = ("_fillers", "_texts")

    def __init__(self, pattern: str, script: Script) -> None:
        self._texts = _TOKEN.split(pattern)  # odd items are tokens
        self._fillers = [_filler(token, script) for token in self._texts[1::2]]

    def fill(self, generator: np.random.Generator) -> str:
        """Make up content from one random number per token."""
        texts = self._texts.copy()
        # Takes a third of the time of generator.integers; the slight bias of the modulo does not matter here.
        numbers = generator.bit_generator.random_raw(len(self._fillers)).tolist()
        texts[1::2] = [filler(number) for filler, number in zip(self._fillers, numbers, strict=True)]
        return "".join(texts)


def _filler(token: str, script: Script) -> Callable[[int], str]:
    if token.startswith("#"):
        digits = len(token)
        return lambda number: f"{number % 10**digits:0{digits}d}"
    if token == "{w}":  # noqa: S105 - no password
        return lambda number: _spell(number, script)
    if token == "{U}":  # noqa: S105 - no password
        return lambda number: _spell(number, script).upper() if script in CASED else _spell(number, script)
    return _FILLERS[token]


def _spell(number: int, script: Script) -> str:
    consonants, vowels = _LETTERS[script]
    number, length = divmod(number, 5)
    made = ""
    for _ in range((2, 2, 3, 3, 4)[length]):
        number, consonant = divmod(number, len(consonants))
        number, vowel = divmod(number, len(vowels))
        made += consonants[consonant] + vowels[vowel]
    return made.capitalize() if script in CASED else made
