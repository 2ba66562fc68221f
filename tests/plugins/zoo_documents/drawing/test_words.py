from __future__ import annotations

import re

import numpy as np
import pytest

from zoo_documents.drawing.words import Pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("#### #### #### ####", r"\d{4}( \d{4}){3}"),
        ("@@######", r"[A-Z]{2}\d{6}"),
        ("{d}.{m}.{y}", r"(0[1-9]|1\d|2[0-8])\.(0[1-9]|1[0-2])\.(19[4-9]\d|20[0-3]\d)"),
        ("{U} {w}", r"[^a-z\s]+ \S+"),
        ("P<@@@<<", r"P<[A-Z]{3}<<"),
        ("", ""),
    ],
)
def test_patterns(pattern, expected):
    for number in range(50):
        assert re.fullmatch(expected, Pattern(pattern, "latin").fill(np.random.default_rng(number)))
