from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from zoo.metrics.within_batches import verify_within_batches
from zoo_core.errors import RunError


def images(count=300, classes=12, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    embeddings = generator.normal(size=(classes, 8))[labels] + generator.normal(size=(count, 8))
    return embeddings.astype(np.float32), labels


@pytest.mark.parametrize("target", [1e-4, 1e-3, 0.02])
def test_the_nearest_rate_of_pairs_within_batches_is_that_of_sklearn(target):
    embeddings, labels = images()
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores, genuine = [], []
    for start in range(0, len(unit), 64):
        for first in range(start, min(start + 64, len(unit))):
            for second in range(first + 1, min(start + 64, len(unit))):
                scores.append(float(unit[first].astype(float) @ unit[second].astype(float)))
                genuine.append(labels[first] == labels[second])
    fpr, tpr, _ = roc_curve(genuine, scores, drop_intermediate=False)
    nearest = np.argmin(np.abs(fpr - target))
    found = verify_within_batches(embeddings, labels.tolist(), batch_size=64, fpr_target=target)
    assert found.pairs == len(scores)
    assert found.fpr == pytest.approx(fpr[nearest], abs=1e-12)
    assert found.tpr == pytest.approx(tpr[nearest], abs=1e-12)


def test_the_nearest_rate_may_lie_above_the_target():
    embeddings, labels = images()
    found = verify_within_batches(embeddings, labels, batch_size=64, fpr_target=1e-4)
    # Some 8,300 impostor pairs: one is nearer to the target than none.
    assert 1e-4 < found.fpr < 1.5e-4


def test_batches_without_both_kinds_of_pairs_are_refused():
    with pytest.raises(RunError, match="batches of 2 have 0 genuine and 2 impostor pairs; both are needed"):
        verify_within_batches(np.eye(4), [0, 1, 0, 1], batch_size=2)
