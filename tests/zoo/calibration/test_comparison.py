from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from zoo.calibration.comparison import compare
from zoo.calibration.pictures import Embedded
from zoo_core.errors import UsageError


def embedded(labels, seed):
    rows = np.random.default_rng(seed).standard_normal((len(labels), 6)).astype(np.float32)
    return Embedded(tuple(labels), (), (), rows / np.linalg.norm(rows, axis=1, keepdims=True), 0)


def test_strangers_are_the_labels_that_the_gallery_lacks():
    gallery, found = embedded("aabcd", 0), embedded("abxxyz", 1)
    compared = compare(found, gallery)
    scores = found.embeddings @ gallery.embeddings.T
    assert compared.rows.tolist() == [2, 3, 4, 5]
    assert compared.strangers.scores == pytest.approx(scores[2:].max(axis=1))
    assert compared.strangers.pictures.tolist() == [2, 1, 1]
    assert compared.strangers.independent == 3
    assert compared.own[:2] == pytest.approx([scores[0, :2].max(), scores[1, 2]])
    assert compared.other[:2] == pytest.approx([scores[0, 2:].max(), np.delete(scores[1], 2).max()])


def test_without_a_gallery_each_class_is_a_stranger_to_the_others():
    labels = "abcabcaad"
    found = embedded(labels, 2)
    compared = compare(found, None)
    scores = found.embeddings @ found.embeddings.T
    for row, label in enumerate(labels):
        others = [index for index, other in enumerate(labels) if other != label]
        own = [index for index, other in enumerate(labels) if other == label and index != row]
        assert compared.other[row] == pytest.approx(scores[row, others].max())
        assert compared.own[row] == (pytest.approx(scores[row, own].max()) if own else -np.inf)
    # It takes two classes to be alike.
    assert compared.strangers.independent == 2
    # A class with one picture cannot be found again.
    assert len(compared.found_again(-1.0)) == 3


@pytest.mark.parametrize("apart", [True, False])
def test_the_expected_rate_is_the_mean_over_all_smaller_galleries(apart):
    gallery = embedded("aabbcde", 3)
    compared = compare(embedded("xxyz", 4), gallery) if apart else compare(gallery, None)
    threshold = float(np.quantile(compared.strangers.scores, 0.4))
    found = compared.expected_fpir(threshold, (1, 2, 3, 100))
    names = sorted(set(gallery.labels))
    assert list(found) == ([1, 2, 3, 5] if apart else [1, 2, 3, 4])
    for size, rate in found.items():
        assert rate == pytest.approx(np.mean([*_rates(compared, gallery, names, size, threshold, apart)]))


def _rates(compared, gallery, names, size, threshold, apart):
    """FPIR class by class, and of each the mean over all galleries."""
    labels = gallery.labels if not apart else ("x", "x", "y", "z")
    for name in sorted(set(labels)):
        rows = [row for row, label in enumerate(labels) if label == name]
        for chosen in combinations([other for other in names if other != name], size):
            columns = [column for column, label in enumerate(gallery.labels) if label in chosen]
            scores = compared.queries.embeddings[rows] @ gallery.embeddings[columns].T
            yield (scores.max(axis=1) >= threshold).mean()


def test_without_strangers_nothing_can_be_calibrated():
    with pytest.raises(UsageError, match="each picture is of a class of the gallery"):
        compare(embedded("aab", 0), embedded("abc", 1))
    with pytest.raises(UsageError, match="all pictures are of one class, 'a'"):
        compare(embedded("aaa", 0), None)
