from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo.evaluation.worst_pairs import draw_worst, worst_pairs
from zoo.validation.embedded_images import EmbeddedImages


def embedded(count, classes, seed=0):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = generator.integers(0, classes, count)
    return EmbeddedImages(vectors, labels, np.zeros(count, bool), np.arange(count))


@pytest.mark.parametrize(("count", "classes"), [(300, 25), (2600, 40), (9, 3)])
def test_the_worst_pairs_are_those_of_a_full_search(count, classes):
    images = embedded(count, classes)
    mixed, torn = worst_pairs(images, 5)

    cosines = images.embeddings.astype(np.float64) @ images.embeddings.T.astype(np.float64)
    of_classes, of_class = {}, {}
    for first in range(count):
        for second in range(first + 1, count):
            key = tuple(sorted((images.labels[first], images.labels[second])))
            kept = of_class if key[0] == key[1] else of_classes
            better = min if key[0] == key[1] else max
            kept[key] = better(kept.get(key, cosines[first, second]), cosines[first, second])
    assert [pair.cosine for pair in mixed] == pytest.approx(sorted(of_classes.values())[::-1][:5], abs=1e-6)
    assert [pair.cosine for pair in torn] == pytest.approx(sorted(of_class.values())[:5], abs=1e-6)
    for pair in mixed:
        assert images.labels[pair.first] != images.labels[pair.second]
    for pair in torn:
        assert images.labels[pair.first] == images.labels[pair.second]


def test_the_sheet_shows_both_images_of_a_pair(tmp_path):
    images = embedded(20, 4)
    (mixed, *_), _ = worst_pairs(images)
    reds = {mixed.first: 255, mixed.second: 255}

    draw_worst(
        images,
        lambda row: np.full((8, 8, 3), (reds.get(row, 0), 0, 0), np.uint8),
        lambda label: f"class {label}",
        tmp_path / "worst.jpg",
    )

    sheet = np.asarray(Image.open(tmp_path / "worst.jpg"))
    top_left_pair = sheet[60:150, 20:290]
    assert top_left_pair[:, :100, 0].min() > 200
    assert top_left_pair[:, -100:, 0].min() > 200
