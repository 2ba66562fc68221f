"""Made-up words, numbers and dates in several scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

Script = Literal["latin", "cyrillic", "greek", "armenian", "georgian", "ideographs"]

# Syllables are a consonant and a vowel; a language sounds by its letters.
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
_TOKEN = re.compile(r"(#|@|\{[dmysUw]\})")
_FILLERS: dict[str, Callable[[int], str]] = {
    "#": lambda number: str(number % 10),
    "@": lambda number: chr(65 + number % 26),
    "{d}": lambda number: f"{1 + number % 28:02d}",
    "{m}": lambda number: f"{1 + number % 12:02d}",
    "{y}": lambda number: str(1940 + number % 95),
    "{s}": lambda number: f"{14 + number % 22:02d}",
}
_WORD_NUMBERS = 9


def word(generator: np.random.Generator, script: Script) -> str:
    """Make up a word: capitalised where the script has capitals."""
    return _word(iter(generator.integers(0, 2**16, _WORD_NUMBERS).tolist()), script)


def fill(pattern: str, generator: np.random.Generator, script: Script) -> str:
    """Fill a pattern with made-up content.

    ``#`` is a digit, ``@`` a capital, ``{w}`` a word, ``{U}`` a word in capitals, ``{d}``, ``{m}``, ``{y}`` day, month
    and year, ``{s}`` two digits of a recent year.
    """
    parts = _TOKEN.split(pattern)
    words = pattern.count("{w}") + pattern.count("{U}")
    numbers = iter(generator.integers(0, 2**16, len(parts) // 2 + _WORD_NUMBERS * words).tolist())
    for position in range(1, len(parts), 2):
        token = parts[position]
        filler = _FILLERS.get(token)
        if filler is not None:
            parts[position] = filler(next(numbers))
        else:
            made = _word(numbers, script)
            parts[position] = made.upper() if token == "{U}" and script in CASED else made  # noqa: S105 - no password
    return "".join(parts)


def _word(numbers: Iterator[int], script: Script) -> str:
    consonants, vowels = _LETTERS[script]
    count = (2, 2, 3, 3, 4)[next(numbers) % 5]
    letters = [consonants[next(numbers) % len(consonants)] + vowels[next(numbers) % len(vowels)] for _ in range(count)]
    made = "".join(letters)
    return made.capitalize() if script in CASED else made
