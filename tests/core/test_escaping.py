from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.escaping import escaped

# Half surrogate pairs too, which a name of a file may hold.
HIDDEN = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
ANY = st.lists(st.text() | HIDDEN).map("".join)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\r", r"a\nb\r"),
        ("a\tb", r"a\tb"),
        ("a\u2029b\u2028", r"a\u2029b\u2028"),
        ("a\u202eb\u200f", r"a\u202eb\u200f"),
        ("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m"),
        ("\ufeffbom", r"\ufeffbom"),
        (os.fsdecode(b"broken\xff\xfe"), r"broken\xff\xfe"),
        ("half \ud800", r"half \ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_cannot_be_shown_is_escaped(name, shown):
    assert escaped(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "",
        " a  b ",
        r"C:\new",
        "[bold]",
        "北京　市",
        "\u0628\u0637\u0627",
        "\u0645\u06cc\u200c\u062e\u0648",
        "क्\u200dष",
        "👩\u200d👧",
        "e\u0301",
    ],
)
def test_what_can_be_shown_stays(name):
    assert escaped(name) == name


@given(ANY)
def test_any_text_becomes_a_line_of_utf8(text):
    shown = escaped(text)

    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert escaped(shown) == shown
