from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo.evaluation.worst_pairs import draw_worst
from zoo.metrics.verification import verify


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 2, 3])])
def test_the_sheet_shows_both_images_of_a_pair(tmp_path, groups):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 20)
    worst = verify(generator.normal(size=(20, 6)), labels, None if groups is None else groups[labels]).worst
    kinds = [worst.impostor, *([worst.look_alike] if groups is not None else []), worst.genuine]
    assert all(kinds)
    for number, pairs in enumerate(kinds):
        reds = {pairs[0].first: 255, pairs[0].second: 255}

        draw_worst(
            worst,
            lambda row, reds=reds: np.full((8, 8, 3), (reds.get(row, 0), 0, 0), np.uint8),
            lambda row: f"class {labels[row]}",
            tmp_path / "worst.jpg",
        )

        sheet = np.asarray(Image.open(tmp_path / "worst.jpg"))
        width = sheet.shape[1] // len(kinds)
        pair = sheet[60:150, number * width + 20 : number * width + 290]
        assert pair[:, :100, 0].min() > 200
        assert pair[:, -100:, 0].min() > 200
