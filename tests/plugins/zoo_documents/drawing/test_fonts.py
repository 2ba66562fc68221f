from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_documents.drawing.fonts import Fonts, blend_mask
from zoo_documents.drawing.words import Pattern

FONTS = Fonts()


@given(st.integers(-300, 300), st.integers(-300, 300), st.text("Aß#é\ue000\ue0ff", max_size=9), st.integers(4, 30))
@settings(max_examples=100, deadline=None)
def test_text_is_cut_at_the_edges(x, y, text, size):
    canvas = np.full((50, 80, 3), 9, np.uint8)
    blend_mask(canvas, FONTS.font("DejaVuSans", size).draw_line(text), x, y, (255, 0, 0))
    assert (canvas[..., 1:] <= 9).all()


def test_full_ink_is_the_colour_and_none_leaves_the_paper():
    canvas = np.full((20, 20, 3), (200, 150, 100), np.uint8)
    mask = np.zeros((10, 10), np.uint8)
    mask[:, 5:] = 255
    blend_mask(canvas, mask, 5, 5, (10, 20, 30))
    assert (canvas[5:15, 10:15] == (10, 20, 30)).all()
    assert (canvas[5:15, 5:10] == (200, 150, 100)).all()


@pytest.mark.parametrize("script", ["latin", "cyrillic", "greek", "armenian", "georgian", "ideographs"])
def test_every_letter_has_a_glyph(script):
    text = "".join(Pattern("{w}{U}", script).fill(np.random.default_rng(number)) for number in range(300))
    unknown = FONTS.typeface("DejaVuSans").glyph("\U000fffff")
    for character in set(text):
        glyph = FONTS.typeface("DejaVuSans").glyph(character)
        assert glyph.any()
        assert glyph.shape != unknown.shape or (glyph != unknown).any()
