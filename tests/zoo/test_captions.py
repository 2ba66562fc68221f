from __future__ import annotations

import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from zoo.captions import Lettering, font_of

HIDDEN = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
CITY, FRUIT = "\u5317\u4eac", "\u82f9\u679c"


@pytest.fixture(autouse=True)
def fonts(tmp_path, monkeypatch):
    """The folder of the only fonts that are installed."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "none"))
    folder = tmp_path / "fonts" / "truetype"
    folder.mkdir(parents=True)
    return folder


def install(folder, characters, name="Blocks"):
    """Install a font that draws each character as a full black square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (1000, 800), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap(dict.fromkeys(map(ord, characters), "square"))
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(folder / f"{name}.ttf")


def drawn(text, room=380, lettering=None):
    """Draw a line in black on white, and return the picture ``uint8 [40, 400]``."""
    page = Image.new("L", (400, 40), "white")
    (lettering or Lettering(20)).draw(ImageDraw.Draw(page), (10, 5), text, "black", room)
    return np.asarray(page)


def warning_of(lettering, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lettering.warn_of_escapes(tmp_path / "page.png")
    return "\n".join(str(warning.message) for warning in caught)


def test_an_installed_font_draws_what_the_own_one_lacks(fonts, tmp_path):
    install(fonts, CITY)
    lettering = Lettering(20)

    picture = drawn(f"a{CITY}c", lettering=lettering)

    # Two squares of 20 pixels, one after the other, between the letters.
    (columns,) = np.nonzero((picture < 128).sum(axis=0) >= 15)
    assert 38 <= np.ptp(columns) + 1 <= 42
    assert (picture[:, columns[-1] + 3 :] < 128).any()
    assert warning_of(lettering, tmp_path) == ""


def test_without_a_font_escapes_are_drawn_and_a_warning_names_the_text(tmp_path):
    lettering = Lettering(20)

    picture = drawn(f"a{CITY}", lettering=lettering)

    np.testing.assert_array_equal(picture, drawn(r"a\u5317\u4eac"))
    message = warning_of(lettering, tmp_path)
    assert f"page.png: no installed font has all characters of 'a{CITY}'; shown as escapes; install one" in message


def test_fonts_are_mixed_in_a_line(fonts, tmp_path):
    install(fonts, CITY, "First")
    install(fonts, FRUIT, "Second")
    (fonts / "Broken.ttf").write_bytes(b"no font")
    lettering = Lettering(20)

    picture = drawn(CITY + FRUIT, lettering=lettering)

    (columns,) = np.nonzero((picture < 128).sum(axis=0) >= 15)
    assert 78 <= len(columns) <= 82
    assert warning_of(lettering, tmp_path) == ""


def test_a_font_of_boxes_for_everything_is_none(fonts):
    install(fonts, CITY, "LastResort")

    np.testing.assert_array_equal(drawn(CITY), drawn(r"\u5317\u4eac"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb", r"a\nb"), ("a\u2029b", r"a\u2029b"), ("\udcff", r"\xff"), ("\x1b[1m", r"\x1b[1m"), ("e\u0301", "\xe9")],
)
def test_names_that_cannot_be_shown_are_drawn_as_escapes(name, shown, tmp_path):
    lettering = Lettering(20)

    np.testing.assert_array_equal(drawn(name, lettering=lettering), drawn(shown))
    assert warning_of(lettering, tmp_path) == ""


def test_right_to_left_needs_complex_layout(monkeypatch, tmp_path):
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    lettering = Lettering(20)

    np.testing.assert_array_equal(drawn("\u05d0", lettering=lettering), drawn(r"\u05d0"))
    assert "libfribidi0" in warning_of(lettering, tmp_path)


@given(st.lists(st.text() | HIDDEN).map("".join), st.integers(30, 380))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_stays_in_its_room(text, room):
    # What a letter has beyond its own width is some pixels.
    assert (drawn(text, room)[:, 10 + room + 12 :] == 255).all()


def test_a_text_of_any_length_keeps_its_ends():
    picture = drawn("AB" + "x" * 100_000 + "YZ", 100)

    assert (picture[:, 20:100] < 128).any()
    assert (picture[:, 115:] == 255).all()


def test_one_font_for_a_whole_line(fonts):
    install(fonts, CITY + " ab")

    own = font_of("ab")[1]
    assert own.name == "DejaVuSans.ttf"
    assert font_of(f"ab {CITY}") == (f"ab {CITY}", fonts / "Blocks.ttf")
    assert font_of(f"xyz {CITY}\n") == (r"xyz \u5317\u4eac\n", own)
